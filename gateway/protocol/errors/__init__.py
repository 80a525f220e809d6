"""Errors on the wire: what engines say in theirs, Anthropic's form of them, and the sentences for
fields that pydantic finds wrong."""
