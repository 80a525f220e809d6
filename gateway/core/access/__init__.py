"""Who may ask for what, and how much: callers' keys, their scopes and quotas, and what they are
told of their limits. Pure, like all of core; imports nothing else of it but the token bucket,
privacy classes and tiers."""
