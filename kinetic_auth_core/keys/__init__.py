"""Private keys: the formats that they come in, what is wrapped around them, and the signer that is made of one.

Needs cryptography, which is imported when the first key is read.
"""
