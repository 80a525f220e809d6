"""What only operators may see and do: the admin token, devices, callers' keys, conditions."""
