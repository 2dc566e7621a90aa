"""OAuth 2.0 as Salesforce speaks it: what answers mean, what is tried again, and requests about a session."""
