"""The device as a member: it says what it is, and does the work that the gateway gives it.

Imports the agent's `answers`, `link`, `drafting` and `drafters`, and the gateway's wire.
"""
