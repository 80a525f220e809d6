"""Which tier (a tier policy) and which endpoint in it (a profile: filters, scorers, a picker).

Imports errors, core's types, and the names of the virtual models, whose policies are here.
"""
