"""The simulated engine: a toy language model, a batch scheduler, metrics and faults.

Knows nothing of HTTP, nor of `api`.
"""
