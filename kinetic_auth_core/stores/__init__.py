"""Session stores: the contract of a store, and the stores of the core."""
