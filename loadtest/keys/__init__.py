"""What callers' keys and quotas cost a request: gateways without and with them, asked in turn.

May import `loadtest.measure` and the canned engine.
"""
