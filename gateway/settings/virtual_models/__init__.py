"""The virtual models that are composed of others' answers, and the prices by which they choose."""
