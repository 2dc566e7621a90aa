"""The emulated Salesforce org: a strict token endpoint, and enough REST API for a client."""
