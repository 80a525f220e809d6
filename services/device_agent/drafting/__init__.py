"""What to draft and what to send: pure, without clock, link or model."""
