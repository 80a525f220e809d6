"""How many drafts of which request a step verifies, so that it brings the most per second. Pure."""
