"""`kinetic-auth doctor`: what a login needs, checked in the order of dependency: the first failure is the cause."""
