"""State that all replicas of the gateway share: what can be done to it, and how each is decided.

`operations` are what a store carries out. The other modules decide them, free of any store: given
the record that is kept (None: nothing, or it has expired), an operation and the time, they give
what to keep and the result. A store in memory calls them; one with functions of its own on a server
must decide alike, which the contract tests check.

Imports errors, core's token bucket, and protocol's back-off for the circuit breaker.
"""
