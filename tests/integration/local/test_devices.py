"""Devices of `make up`: registered before it says that it is up, and missed without harm."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx
import pytest

from tests.integration.local.instance import Run, members, up
from tests.servers import SHIPPED_FAMILY, eventually

pytestmark = pytest.mark.integration
UP = "tierflow is up: "


def copies(folder: Path, *names: str) -> str:
    """Folders of the shipped small model under other names, as the variable takes them."""
    for name in names:
        shutil.copytree(SHIPPED_FAMILY / "rill-device", folder / f"rill-device-{name}")
    return " ".join(str(folder / f"rill-device-{name}") for name in names)


def registered(run: Run) -> set[str]:
    token = (run.folder / "admin.token").read_text().strip()
    answer = httpx.get(
        f"http://127.0.0.1:{run.ports[0]}/v1/devices", headers={"Authorization": f"Bearer {token}"}
    )
    return {device["id"] for device in answer.json()["data"] if device["registered"]}


def test_devices_are_named_once_it_is_up_and_one_that_crashes_is_reported(tmp_path: Path) -> None:
    with up(tmp_path, TIERFLOW_DEVICES=copies(tmp_path, "sums", "words")) as run:
        run.read_until(UP)
        assert registered(run) == {"sums", "words"}
        assert run.read_until("devices: ").strip() == "devices: sums, words"
        told = run.read_until("operator's token: ")
        assert told.endswith(f"{run.folder}/admin.token")

        sessions = run.sessions()
        run.part("sums").kill()
        told = run.read_until("device sums stopped")
        assert told == (
            "device sums stopped (killed by SIGKILL), the rest goes on; "
            f"log: {run.folder / 'logs' / 'sums.log'}"
        )
        eventually(lambda: registered(run) == {"words"}, "it is no member any more")
        stopped = run.down()
        assert (stopped.returncode, run.wait()) == (0, 0)
        assert not members(sessions)


def test_a_device_that_can_not_start_is_reported_with_its_reason(tmp_path: Path) -> None:
    folders = copies(tmp_path, "sums", "words")
    (tmp_path / "rill-device-sums" / "model.onnx").write_bytes(b"no model")
    with up(tmp_path, TIERFLOW_DEVICES=folders) as run:
        assert "exit code 2" in run.read_until("device sums stopped")
        assert "model.onnx can't be loaded" in run.read_until("can't be loaded")
        run.read_until(UP)
        assert run.read_until("devices: ").strip() == "devices: words"


def test_a_folder_without_a_model_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with up(tmp_path, TIERFLOW_DEVICES="no-such-specialist") as run:
        assert run.wait() == 1
        assert len(run.lines) == 1
        assert "TIERFLOW_DEVICES" in run.log and "no-such-specialist can't start" in run.log
