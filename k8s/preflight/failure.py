"""What ends the program before any check: a command line or a file that can't be used."""

from __future__ import annotations


class UsageFailure(Exception):
    """A command line or file that can't be used; one line that says what to change, exit code 2."""
