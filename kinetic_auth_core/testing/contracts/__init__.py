"""Test suites for plugins: a class to subclass with one factory, and every test is inherited."""
