"""A deterministic stand-in for a vLLM engine: same HTTP API, same metric names, no model.

Owns: a toy tokenizer and language model, a batch scheduler with settable rates, faults on
request, and the wire formats of vLLM 0.32. Imports nothing of ours.
"""
