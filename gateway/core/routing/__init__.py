"""Which tier (a tier policy) and which endpoint in it (a profile: filters, scorers, a picker)."""
