"""Who callers are by tokens of an issuer: its keys, and the check of what they have signed."""
