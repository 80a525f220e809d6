"""Why a replica can't be started."""

from __future__ import annotations


class ArgumentFailure(Exception):
    """An argument can't be used; one line that names it."""
