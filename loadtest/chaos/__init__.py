"""`python -m loadtest.chaos`: everything is broken once under load, and no answer may be lost.

`testbed` runs two replicas of the gateway behind `balancer`, engines, Redis and an API server;
`faults` break them, `schedule` says when, `outcomes` count what became of the callers' requests,
and `report` and `plots` show it.
"""
