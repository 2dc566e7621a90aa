"""Plugins: which are installed and allowed, how one is loaded and checked, and what a reference to a secret is."""
