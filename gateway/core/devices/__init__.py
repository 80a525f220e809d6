"""Members: registered devices, what their tokens allow, and the work that they can be given.

Imports errors, and no other room of core.
"""
