"""A deterministic stand-in for a vLLM engine: same HTTP API, same metric names, no model.

`engine` owns a toy tokenizer and language model, a batch scheduler with settable rates, and faults
on request; `api` owns the wire formats of vLLM 0.32. Imports nothing of ours.
"""
