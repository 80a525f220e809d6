"""Who a caller is, what it may ask for, and how much of it: keys in memory, scopes and quotas.

A request meets these at the web edge, before its work, and never waits for a store there. Imports
core and errors.
"""
