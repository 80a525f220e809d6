"""A verifier of a few hundred lines, and what tests of every verifier need.

`textbook` is the algorithm, with full distributions; `python -m tests.reference_verifier` serves
it on transformers, behind the same interfaces as vLLM with our scheduler; `client` drives either.
"""
