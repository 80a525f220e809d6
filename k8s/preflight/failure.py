"""What ends the program before any check: a command line or a file that can't be used."""

from __future__ import annotations


class UsageFailure(Exception):
    """One line for the user that names what to change; exit code 2."""
