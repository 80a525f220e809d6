from pathlib import Path

from loadtest.collective import failures, plan
from loadtest.collective.plan import EVERYBODY


def test_every_method_has_a_name_of_its_own() -> None:
    names = [method.name for method in plan.methods()]
    assert len(set(names)) == len(names)


def test_three_of_ten_devices_fail() -> None:
    models = failures.twins({name: Path(name) for name in EVERYBODY})
    assert len(models) == 10
    assert {*failures.KILLED, *failures.STALLED} < models.keys()
    assert len({*failures.KILLED, *failures.STALLED}) == 3
