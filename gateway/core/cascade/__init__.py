"""Is a small model's answer likely right? Confidence, decisions, and what they are fitted from.

Imports errors, and of core what lies in no room and `core.speculation`.
"""
