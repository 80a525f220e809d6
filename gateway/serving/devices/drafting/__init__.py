"""One speculative session: drafts from a device, verified tokens back to it."""
