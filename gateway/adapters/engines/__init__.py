"""Engines: the HTTP client, the verifier and its mailbox, what their pages say.

Imports core, errors and protocol, and no other adapter.
"""
