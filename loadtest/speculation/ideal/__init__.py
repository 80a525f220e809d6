"""The ideal race: what drafts could be worth if nothing cost time but steps, drafting and the link.

Pure: no clock, no model, no network.
"""
