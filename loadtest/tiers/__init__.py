"""What three tiers are worth: each alone, two and three together, at one site and across sites."""
