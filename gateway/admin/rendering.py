"""Devices and keys in words. What a device says of itself may hold anything: only what prints is
shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

HEAD = ("DEVICE", "SOURCE", "OWNER", "STATE", "PRIVACY", "WORK", "BATTERY", "MODELS")
KEY_HEAD = ("KEY", "SOURCE", "MODELS", "TIERS", "WAYS", "REQUESTS/MIN", "TOKENS/MIN", "TOKENS/DAY")
LONGEST = 40


def table(devices: Sequence[Mapping[str, Any]]) -> str:
    return _columns([HEAD, *(_row(device) for device in devices)])


def _columns(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def key_table(keys: Sequence[Mapping[str, Any]]) -> str:
    return _columns([KEY_HEAD, *(_key_row(key) for key in keys)])


def card(device: Mapping[str, Any]) -> str:
    """Each field on a line of its own, under its own name."""
    return "\n".join(f"{name}: {_plain(value)}" for name, value in _flat("", device))


def _row(device: Mapping[str, Any]) -> tuple[str, ...]:
    registration = device.get("registration")
    owner = _short(device.get("owner") or "-")
    if not registration:
        return (_short(device["id"]), device["source"], owner, "absent", "-", "-", "-", "-")
    condition, work = registration["condition"], registration["work"]
    battery = condition["battery"]
    return (
        _short(device["id"]),
        device["source"],
        owner,
        "hot" if condition["hot"] else "registered",
        registration["privacy"],
        f"{work['in_flight']}/{work['max_work']}",
        "mains" if battery is None else f"{battery:.0%}",
        _short(", ".join(model["name"] for model in registration["models"])),
    )


def _key_row(key: Mapping[str, Any]) -> tuple[str, ...]:
    fields = ("models", "tiers", "ways", "requests_per_min", "tokens_per_min", "tokens_per_day")
    return (_short(key["name"]), key["source"], *(_short(key[field]) for field in fields))


def _flat(prefix: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        return [pair for key, part in value.items() for pair in _flat(f"{prefix}{key}.", part)]
    if isinstance(value, list) and any(isinstance(part, Mapping) for part in value):
        return [
            pair for number, part in enumerate(value) for pair in _flat(f"{prefix}{number}.", part)
        ]
    return [(prefix.rstrip("."), value)]


def _plain(value: Any) -> str:
    if value is None or value in ({}, []):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_plain(part) for part in value)
    return "".join(c if c.isprintable() else " " for c in str(value))


def _short(text: Any) -> str:
    shown = _plain(text)
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + "…"
