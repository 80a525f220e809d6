"""Files that the gateway reads or writes besides its settings."""
