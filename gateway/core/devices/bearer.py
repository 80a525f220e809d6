"""Who a caller proved to be by a device's token."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bearer:
    """`device` is the id that the token stands for, "" where none was shown or it is unknown;
    `owner` is that device's, "" where it has none."""

    device: str = ""
    owner: str = ""
