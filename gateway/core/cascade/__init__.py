"""Is a small model's answer likely right? Confidence, decisions, and what they are fitted from."""
