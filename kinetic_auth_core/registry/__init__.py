"""Plugins: which are installed and allowed, how one is loaded and checked, and references to secrets."""
