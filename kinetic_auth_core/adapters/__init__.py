"""Adapters: HTTP clients and Salesforce clients that use a source's session, and renew it when the token expired.

The token response does not say when a token expires; a rejected request (401) shows that it has. So an adapter checks
each response, calls `invalidate`, and sends the request once more with the new session.

Each module is named after the library that it adapts, and needs that library:

    from kinetic_auth_core.adapters.requests import SalesforceAuth
"""
