from __future__ import annotations

import json
import os
from pathlib import Path

import psutil
import pytest

from deploy.local.instance import Instance, Leader, Record, boot_id
from deploy.local.settings import instance_folder
from tests.servers import free_port
from tierflow.command_line import main
from tierflow.instances import instance_status, status_of_all


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Instance:
    """Of a port where nothing listens."""
    port = free_port()
    monkeypatch.setenv("TIERFLOW_STATE", str(tmp_path))
    monkeypatch.setenv("TIERFLOW_PORT", str(port))
    return Instance(instance_folder(port))


def record(instance: Instance, *leaders: Leader) -> None:
    instance.write(
        Record(runner=os.getpid(), boot=boot_id(), temporary="/nowhere", leaders=list(leaders))
    )


def itself(name: str) -> Leader:
    return Leader(name, os.getpid(), psutil.Process().create_time())


def test_nothing_runs_is_said_with_how_to_start_it(
    instance: Instance, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status"]) == 1
    assert "nothing is running; `tierflow up` starts it" in capsys.readouterr().out
    assert status_of_all() == []


def test_parts_are_listed_with_address_age_and_health(
    instance: Instance, capsys: pytest.CaptureFixture[str]
) -> None:
    with instance.lock():
        record(instance, itself("edge"), itself("gateway"), itself("code"))
        config = {"pools": {"edge": {"endpoints": ["http://127.0.0.1:1"]}}}
        (instance.folder / "gateway.yaml").write_text(json.dumps(config))
        assert main(["status", "--json"]) == 1
        told = json.loads(capsys.readouterr().out)
        assert [part["name"] for part in told["parts"]] == ["edge", "gateway", "code"]
        assert told["parts"][0]["address"] == "http://127.0.0.1:1"
        assert told["parts"][0]["health"] == "no answer (ConnectError)"
        assert told["parts"][2]["health"] == "running"
        assert told["logs"] == str(instance.logs)
        assert not told["ready"]
        assert main(["status"]) == 1
        assert "the gateway does not answer" in capsys.readouterr().out


def test_a_part_that_has_ended_is_named(instance: Instance) -> None:
    with instance.lock():
        record(instance, itself("gateway"), Leader("edge", os.getpid(), 1.0))
        found = instance_status(int(instance.folder.name))
    assert found.problem == "ended: edge" and not found.ready


def test_the_end_of_each_log_is_shown(
    instance: Instance, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["logs"]) == 1
    assert "run `tierflow up` first" in capsys.readouterr().err
    instance.logs.mkdir(parents=True)
    for name in ("edge", "gateway"):
        (instance.logs / f"{name}.log").write_text("".join(f"{name} {n}\n" for n in range(9)))
    assert main(["logs", "-n", "1"]) == 0
    assert capsys.readouterr().out == "edge     edge 8\ngateway  gateway 8\n"
    assert main(["logs", "gateway", "-n", "2"]) == 0
    assert capsys.readouterr().out == "gateway 7\ngateway 8\n"
    assert main(["logs", "gatewya"]) == 2
    assert "there are edge, gateway" in capsys.readouterr().err


def test_administration_before_anything_is_up_says_what_to_do(
    instance: Instance, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["admin", "devices", "list"]) == 2
    assert "run `tierflow up` first" in capsys.readouterr().err


def test_a_device_before_anything_is_up_says_what_to_do(
    instance: Instance, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["device"]) == 2
    assert "run `tierflow up` first" in capsys.readouterr().err
