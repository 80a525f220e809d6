"""Rounds of drafts at a stock engine: where they pay, and what the gateway chooses."""
