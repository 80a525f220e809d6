"""Verification of drafts from outside, inside vLLM."""
