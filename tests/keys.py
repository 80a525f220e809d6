"""Callers' keys for a gateway under test: what callers show, what its settings list."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import httpx


def secret(name: str) -> str:
    """The key of this name, as its caller shows it."""
    return f"tf-{name}-0123456789abcdef0123456789abcdef"


def digest(name: str) -> str:
    """The SHA-256 in hex of the key of this name."""
    return hashlib.sha256(secret(name).encode()).hexdigest()


def static_keys(keys: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """`keys.static` of the settings, with what each key may do by its name."""
    return {name: {"key": digest(name), **more} for name, more in keys.items()}


def left(answer: httpx.Response, what: str) -> int:
    """How many more requests or tokens the answer says that its key has."""
    return int(answer.headers[f"x-ratelimit-remaining-{what}"])
