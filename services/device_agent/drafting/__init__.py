"""What to draft and what to send: pure, without clock, link or model.

Imports of the agent the port's types alone (`drafters.port`).
"""
