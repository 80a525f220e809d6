"""State that all replicas of the gateway share: what can be done to it, free of any store."""
