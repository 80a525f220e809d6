"""Pure decisions: no I/O, no clock, no randomness, no logging.

Time comes in as `now` (seconds, monotonic) and chance as `uniform` (a callable giving [0, 1)).
May import `gateway.errors` and nothing else of ours.
"""
