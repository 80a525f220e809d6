"""Heat and charge, as the kernel gives them under `thermal` and `power_supply` of sysfs.

https://docs.kernel.org/driver-api/thermal/sysfs-api.html and
https://docs.kernel.org/power/power_supply_class.html; Jetsons and laptops have the same files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SYSFS = Path("/sys/class")
NOT_THE_CHIP = ("pmic", "thermal-fan-est")
"""Zones of Jetsons that show a fixed figure, or one computed from others."""

PLAUSIBLE = range(-40, 150)
"""Degrees Celsius; a sensor without power gives other figures."""


@dataclass(frozen=True)
class SensorReading:
    """A reading of the sensors.

    `celsius` is that of the hottest zone, None without any. `battery` is the charge, 0 to 1, while
    the device runs on it; None: it runs on mains.
    """

    celsius: float | None = None
    battery: float | None = None


class Sensors:
    """The kernel's files for heat and charge, which may be slow or go away at any time.

    A file that can't be read counts as absent.
    """

    def __init__(self, root: Path = SYSFS) -> None:
        self._thermal = root / "thermal"
        self._power = root / "power_supply"

    def read(self) -> SensorReading:
        return SensorReading(self._celsius(), self._battery())

    def _celsius(self) -> float | None:
        temperatures = []
        for zone in _folders(self._thermal, "thermal_zone"):
            if _text(zone / "type").lower().startswith(NOT_THE_CHIP):
                continue
            celsius = _number(zone / "temp", 1e-3)
            if celsius is not None and PLAUSIBLE.start <= celsius < PLAUSIBLE.stop:
                temperatures.append(celsius)
        return max(temperatures, default=None)

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
        # Some batteries never report that they are discharging: then the mains decide.
        on_battery = "Discharging" in statuses or (
            statuses <= {"Unknown", ""} and mains != [] and not any(mains)
        )
        return sum(charges) / len(charges) if charges and on_battery else None


def _charge(supply: Path) -> float | None:
    """The charge of a battery, 0 to 1."""
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
        return sorted(folder for folder in root.iterdir() if folder.name.startswith(prefix))
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
