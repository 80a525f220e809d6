"""Drafting: one session is an answer by an engine for which a device drafts tokens.

`session` goes from the device's `open` to `done`: it is admitted, picks an endpoint, starts the
answer there, and goes on at another where that fails, from what has been verified. `drafts` checks
the device's drafts and hands them to the verifier; `verified_tokens` passes each engine step's
tokens back to the device, with how many of them it had drafted. A draft never delays a step.

Imports core, errors, `serving.requests`, the device's outbox, and of protocol the frames and the
virtual models' names.
"""
