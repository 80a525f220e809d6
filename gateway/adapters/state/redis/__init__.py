"""State in Redis: one server, a master under Sentinel, or a cluster. See docs/state.md."""
