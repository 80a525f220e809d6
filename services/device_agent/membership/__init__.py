"""The device as a member: it says what it is, and does the work that the gateway gives it."""
