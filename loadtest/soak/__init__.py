"""`python -m loadtest.soak`: the same load for an hour, and memory and descriptors that must not
grow."""
