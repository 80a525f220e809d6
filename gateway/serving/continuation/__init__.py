"""Streams whose engine broke in the middle: another engine goes on from what the caller has.

`continuation` chooses where, through `requests.dispatch`, and asks for a completion of the prompt's
token ids and those sent so far. `continued_answer` writes its events as the first engine would have
gone on, so that `requests.relay` passes them on like any others. `core.streams.continuation` says
which requests can be continued, and keeps what is needed for it.

Imports core, errors, protocol and `serving.requests`.
"""
