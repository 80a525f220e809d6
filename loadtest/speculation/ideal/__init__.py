"""The ideal race: what drafts could be worth if nothing cost time but steps, drafting and the link.

`agreement` and `race` are pure: no clock, no model, no network. `benchmark` measures how near the
real race comes to it.
"""
