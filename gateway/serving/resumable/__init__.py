"""Resumable streams: they survive their connection, and a caller who comes back loses nothing.

A `stream` is written by the request's work and read by the caller's connection; between them is
`core.streams.event_log`. Work and connection end apart: `streams` knows all streams of this
replica, and ends those whose caller stays away. `resumption` finds the stream that a caller comes
back to, here or at another replica; `remote_streams` draws how replicas hand the events over.
Events
never go through the store unless their caller has come back to another replica.

Imports core, errors, and nothing else of serving.
"""
