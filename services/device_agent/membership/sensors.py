"""Heat and charge as the kernel tells them, under `thermal` and `power_supply` of sysfs.

https://docs.kernel.org/driver-api/thermal/sysfs-api.html and
https://docs.kernel.org/power/power_supply_class.html; Jetsons and laptops have the same files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SYSFS = Path("/sys/class")
NOT_THE_CHIP = ("pmic", "thermal-fan-est")
"""Zones of Jetsons that show a fixed figure, or one that is made from others."""

PLAUSIBLE = range(-40, 150)
"""Degrees Celsius; a sensor without power tells others."""


@dataclass(frozen=True)
class Reading:
    """`celsius` of the hottest zone, None without any; `battery` 0 to 1 while it is what the
    device runs on, None on mains."""

    celsius: float | None = None
    battery: float | None = None


class Sensors:
    """Reads files that may be slow or go away at any time; what can't be read is not there."""

    def __init__(self, root: Path = SYSFS) -> None:
        self._thermal = root / "thermal"
        self._power = root / "power_supply"

    def read(self) -> Reading:
        return Reading(self._celsius(), self._battery())

    def _celsius(self) -> float | None:
        found = []
        for zone in _folders(self._thermal, "thermal_zone"):
            if _text(zone / "type").lower().startswith(NOT_THE_CHIP):
                continue
            celsius = _number(zone / "temp", 1e-3)
            if celsius is not None and PLAUSIBLE.start <= celsius < PLAUSIBLE.stop:
                found.append(celsius)
        return max(found, default=None)

    def _battery(self) -> float | None:
        mains: list[bool] = []
        statuses: set[str] = set()
        charges: list[float] = []
        for supply in _folders(self._power, ""):
            if _text(supply / "scope") == "Device":
                continue  # of a mouse, not of the computer
            if _text(supply / "type") != "Battery":
                mains.append(_text(supply / "online") == "1")
            elif (charge := _charge(supply)) is not None:
                charges.append(charge)
                statuses.add(_text(supply / "status"))
        # Some batteries never say that they are discharging: then the mains tell.
        runs_on_it = "Discharging" in statuses or (
            statuses <= {"Unknown", ""} and mains != [] and not any(mains)
        )
        return sum(charges) / len(charges) if charges and runs_on_it else None


def _charge(supply: Path) -> float | None:
    """0 to 1."""
    share = _number(supply / "capacity", 0.01)
    if share is None:
        for kind in ("energy", "charge"):
            now, full = _number(supply / f"{kind}_now"), _number(supply / f"{kind}_full")
            if now is not None and full:
                share = now / full
                break
    return None if share is None else min(max(share, 0.0), 1.0)


def _folders(root: Path, prefix: str) -> list[Path]:
    try:
        return sorted(each for each in root.iterdir() if each.name.startswith(prefix))
    except OSError:
        return []


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""


def _number(file: Path, scale: float = 1.0) -> float | None:
    try:
        return int(_text(file)) * scale
    except ValueError:
        return None
