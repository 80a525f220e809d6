"""Who may do what: operators' token, callers' keys and their quotas."""
