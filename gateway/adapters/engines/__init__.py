"""Engines: the HTTP client, the verifier and its mailbox, what their pages say."""
