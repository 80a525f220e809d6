"""Questions with checkable answers, drawn from a seeded ``random.Random``; no I/O, no torch."""
