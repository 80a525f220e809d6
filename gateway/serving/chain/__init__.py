"""A chain of tiers for one answer: the last verifies, those in the middle draft for it.

A tier in the middle is a verifier to who drafts below, and a drafter to who verifies above.
`middle_tier` drives one: it has an engine there write the same answer, takes drafts from below,
and leaves what the engine says with the tier above at once. `verification` is the whole chain as
one `Verification`, read as that of a single engine is: nothing there waits for a tier in the
middle. `chains` opens it.

Imports core, errors, `serving.requests`, and of protocol paths and the virtual models' names.
"""
