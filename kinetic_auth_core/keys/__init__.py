"""Private keys: their formats, their wrappings, and the signer made from one; and certificates.

Needs cryptography, which is imported when the first key is read.
"""
