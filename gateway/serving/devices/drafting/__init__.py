"""Drafting: one session is an answer by an engine for which a device drafts tokens.

`session` goes from the device's `open` to `done`: it is admitted, picks an endpoint, starts the
answer there, and picks another where that fails before the first token. `drafts` checks the
device's drafts and hands them to the verifier; `verified_tokens` passes each engine step's tokens
back to the device, with how many of them it had drafted. A draft never delays a step.

Imports core, errors, `serving.requests`, the device's outbox, and of protocol the frames and the
virtual models' names.
"""
