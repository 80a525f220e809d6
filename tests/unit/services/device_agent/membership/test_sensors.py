"""Heat and charge, read from files as a Jetson, a laptop and a plain server have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.device_agent.membership.device_state import COOLER, DeviceState
from services.device_agent.membership.sensors import SensorReading, Sensors

pytestmark = pytest.mark.anyio


def put(root: Path, path: str, **files: str) -> None:
    folder = root / path
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text + "\n")


def test_without_any_files_it_is_neither_hot_nor_on_a_battery(tmp_path: Path) -> None:
    assert Sensors(tmp_path / "none").read() == SensorReading(None, None)


def test_the_hottest_zone_counts(tmp_path: Path) -> None:
    put(tmp_path, "thermal/thermal_zone0", type="cpu-thermal", temp="61500")
    put(tmp_path, "thermal/thermal_zone1", type="gpu-thermal", temp="72250")
    put(tmp_path, "thermal/cooling_device0", type="fan", temp="99000")
    assert Sensors(tmp_path).read().celsius == pytest.approx(72.25)


def test_zones_of_a_jetson_that_tell_nothing_are_passed_over(tmp_path: Path) -> None:
    put(tmp_path, "thermal/thermal_zone0", type="PMIC-Die", temp="100000")
    put(tmp_path, "thermal/thermal_zone1", type="cv0-thermal")  # without power: no reading
    put(tmp_path, "thermal/thermal_zone2", type="cv1-thermal", temp="-256000")
    put(tmp_path, "thermal/thermal_zone3", type="tj-thermal", temp="48000")
    assert Sensors(tmp_path).read().celsius == pytest.approx(48.0)


def test_a_laptop_on_its_battery_tells_the_charge(tmp_path: Path) -> None:
    put(tmp_path, "power_supply/AC", type="Mains", online="0")
    put(tmp_path, "power_supply/BAT0", type="Battery", status="Discharging", capacity="42")
    assert Sensors(tmp_path).read().battery == pytest.approx(0.42)


@pytest.mark.parametrize("status", ["Charging", "Full", "Not charging", "Unknown"])
def test_a_laptop_on_mains_runs_on_no_battery(tmp_path: Path, status: str) -> None:
    put(tmp_path, "power_supply/AC", type="Mains", online="1")
    put(tmp_path, "power_supply/BAT0", type="Battery", status=status, capacity="42")
    assert Sensors(tmp_path).read().battery is None


def test_a_battery_without_a_percentage_is_read_by_its_energy(tmp_path: Path) -> None:
    put(
        tmp_path,
        "power_supply/BAT0",
        type="Battery",
        status="Discharging",
        energy_now="25000",
        energy_full="50000",
    )
    assert Sensors(tmp_path).read().battery == pytest.approx(0.5)


def test_a_battery_of_unknown_state_counts_where_no_mains_are_online(tmp_path: Path) -> None:
    put(tmp_path, "power_supply/AC", type="Mains", online="0")
    put(tmp_path, "power_supply/BAT0", type="Battery", status="Unknown", capacity="42")
    assert Sensors(tmp_path).read().battery == pytest.approx(0.42)


def test_a_mouse_is_no_power_supply(tmp_path: Path) -> None:
    put(
        tmp_path,
        "power_supply/hid-mouse",
        type="Battery",
        scope="Device",
        status="Discharging",
        capacity="9",
    )
    assert Sensors(tmp_path).read().battery is None


def test_what_is_no_number_is_not_there(tmp_path: Path) -> None:
    put(tmp_path, "thermal/thermal_zone0", type="x", temp="warm")
    put(tmp_path, "power_supply/BAT0", type="Battery", status="Discharging", capacity="half")
    assert Sensors(tmp_path).read() == SensorReading(None, None)


def test_a_hot_device_is_hot_until_it_is_clearly_cooler() -> None:
    state = DeviceState(SensorReading, hot_celsius=80)
    hot = []
    for celsius in (79.9, 80.0, 79.0, 80 - COOLER, 80 - COOLER - 0.1, 79.9):
        state.update(SensorReading(celsius))
        hot.append(state.condition(0).hot)
    assert hot == [False, True, True, True, False, False]


async def test_a_reading_is_what_is_told_from_then_on() -> None:
    state = DeviceState(lambda: SensorReading(95.0, 0.123), hot_celsius=90)
    await state.refresh()
    condition = state.condition(working=2)
    assert (condition.hot, condition.battery, condition.working) == (True, 0.12, 2)
