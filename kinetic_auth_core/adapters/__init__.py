"""Adapters: HTTP clients and Salesforce clients that carry a source's session, and renew it when a token has died.

How long a token lives is not known from the answer that brought it; that it is dead is known from a refusal. So an
adapter watches for one, says `invalidate`, and sends the request once more with the session that is live then.

Each module here is named after the library that it adapts, and is imported by those who have that library:

    from kinetic_auth_core.adapters.requests import SalesforceAuth
"""
