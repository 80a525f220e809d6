"""Replicas: what the replicas of the gateway tell each other about devices, and work across them.

Each replica has the connections of its own devices, and gives work to all. `bus` hears the channels
of the shared store and runs the tasks that keep in touch; `outbox` sends, in order; `messages` has
the format. `peers` knows the devices of other replicas, and `remote_work` gives them work: its
docstring draws the protocol. The store may lose any message, so each is numbered, repeated, or
found out by a look at the leases.

Imports core, errors, the registry, leases, tokens and work of `serving.devices`, and protocol's
back-off.
"""
