"""State in Redis: one server, a master under Sentinel, or a cluster. See docs/state.md.

Imports core, errors, protocol's back-off and `adapters.state`, and no other adapter.
"""
