"""Answers for which a device drafts: what is verified, what is credible, what came true."""
