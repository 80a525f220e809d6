"""Devices: their connections, tokens and leases, and work for them at this replica or another.

A device shows its token (`tokens`, got by `enrolment`) and keeps one connection (`connections`).
Its frames (`frames`) open drafting sessions (`drafting`) or register it as a member
(`registration`); the gateway's own go through the connection's `outbox`. The `registry` knows all
registered devices: a lease in the shared store decides who is registered under a name
(`device_lease`), and `leases` renews it. Work goes to the device's connection (`work`,
`work_answer`), by way of another replica where that one has it (`replicas`).

Imports core, errors, `serving.requests`, and of protocol the frames, which are checked values once
they are decoded.
"""
