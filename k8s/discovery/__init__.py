"""Finds engines by watching EndpointSlices (discovery.k8s.io/v1), and knows nothing of gateways.

`discovery.Discovery` is what users of this package need: it hands every change over as a whole
`endpoints.Snapshot`. The official client's asyncio half is used, so the watches are tasks of the
event loop that reads the snapshots, and nothing has to cross threads.
"""
