"""HTTP: one request within its limits, and what its failures mean."""
