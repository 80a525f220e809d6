"""The device agent as users start it, but with shorter waits between its tries and its readings.

    python -m tests.integration.quick_agent FLAGS

What it does after a wait is the same; how long it waits is the unit tests' subject.
"""
