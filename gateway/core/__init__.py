"""Pure decisions: no I/O, no clock, no randomness, no logging.

Time comes in as `now` (seconds, monotonic) and chance as `uniform` (a callable giving [0, 1)).
May import `gateway.errors`, and from `gateway.protocol` the names of virtual models and headers and
the back-off.
"""
