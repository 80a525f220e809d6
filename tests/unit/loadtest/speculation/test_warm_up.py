import pytest

from loadtest.speculation.warm_up import read_acceptance, spoil_for


def test_spoiling_brings_acceptance_down_to_what_the_drafter_is_called() -> None:
    spoil = spoil_for(0.95)
    assert 0.95 * (1 - spoil["0.8"]) == pytest.approx(0.8)
    assert 0.95 * (1 - spoil["0.3"]) == pytest.approx(0.3)
    assert spoil["useless"] == 1.0
    assert spoil_for(0.7)["0.8"] == 0.0, "a drafter can't be made better"


def test_an_agents_own_acceptance_is_read_for_the_cloud_size() -> None:
    page = (
        "# TYPE tierflow_device_acceptance gauge\n"
        'tierflow_device_acceptance{guess="first",model="rill-edge"} 0.5\n'
        'tierflow_device_acceptance{guess="first",model="rill-cloud"} 0.8125\n'
        'tierflow_device_acceptance{guess="second",model="rill-cloud"} 0.6\n'
    )
    assert read_acceptance(page) == 0.8125
    assert read_acceptance("tierflow_device_active_answers 1.0\n") is None
