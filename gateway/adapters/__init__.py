"""Implement core's ports on real libraries. They see core, errors and protocol, never serving.

Library errors are turned into ours here, with their cause kept. `clock`, `logs` and `line_writer`
have no room of their own.
"""
