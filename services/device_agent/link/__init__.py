"""The link to the gateway: one connection, its frames by session, and the token of the device."""
