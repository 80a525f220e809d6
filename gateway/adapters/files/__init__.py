"""Files that the gateway reads or writes besides its settings: predictors, and the outcome log.

Imports core and errors, and no other adapter.
"""
