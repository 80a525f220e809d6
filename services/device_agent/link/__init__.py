"""The link to the gateway: one connection, its frames by session, and the token of the device.

Imports the agent's `drafting`, for the rate at which drafts may be sent, and the gateway's wire.
"""
