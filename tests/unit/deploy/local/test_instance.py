"""What a killed runner left behind is found and ended, and nothing else is."""

import os
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from deploy.local.instance import (
    AlreadyUp,
    Instance,
    Leader,
    Record,
    boot_id,
    processes_of,
)


def start(command: str) -> subprocess.Popen[bytes]:
    """A shell that leads a session of its own; it prints a line once its children run."""
    process = subprocess.Popen(
        ["sh", "-c", f"{command} echo ready; wait"], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.stdout.close()
    return process


def leader_of(process: subprocess.Popen[bytes]) -> Leader:
    return Leader("edge", process.pid, psutil.Process(process.pid).create_time())


def record(leader: Leader, temporary: str) -> Record:
    return Record(runner=os.getpid(), boot=boot_id(), temporary=temporary, leaders=[leader])


def test_children_are_ended_even_when_their_leader_is_gone(tmp_path: Path) -> None:
    process = start("sleep 1000 & sleep 1000 &")
    leader = leader_of(process)
    process.kill()
    process.wait()
    temporary = tempfile.mkdtemp(dir=tmp_path)
    instance = Instance(tmp_path)
    instance.write(record(leader, temporary))
    assert len(processes_of([leader])) == 2
    assert instance.sweep() == 2
    assert processes_of([leader]) == []
    assert not Path(temporary).exists()
    assert instance.read() is None


def test_processes_that_ignore_termination_are_killed(tmp_path: Path) -> None:
    with start("trap '' TERM; sleep 1000 &") as process:
        leader = leader_of(process)
        instance = Instance(tmp_path)
        instance.write(record(leader, str(tmp_path / "temporary")))
        assert instance.sweep(patience=0.1) == 2
        process.wait()
        assert processes_of([leader]) == []


def test_a_process_that_got_the_pid_of_an_old_one_is_left_alone(tmp_path: Path) -> None:
    with start("sleep 1000 &") as process:
        leader = leader_of(process)
        instance = Instance(tmp_path)
        older = replace(leader, created=leader.created - 100)
        instance.write(record(older, str(tmp_path / "temporary")))
        assert instance.sweep() == 0
        assert len(processes_of([leader])) == 2
        for left in processes_of([leader]):
            left.kill()


def test_pids_from_before_a_reboot_are_left_alone(tmp_path: Path) -> None:
    with start("sleep 1000 &") as process:
        leader = leader_of(process)
        instance = Instance(tmp_path)
        before = replace(record(leader, str(tmp_path / "temporary")), boot="an earlier one")
        instance.write(before)
        assert instance.sweep() == 0
        for left in processes_of([leader]):
            left.kill()


def test_an_instance_is_locked_by_one(tmp_path: Path) -> None:
    instance = Instance(tmp_path / "8080")
    assert not instance.is_locked()
    with instance.lock():
        assert instance.is_locked()
        instance.write(Record(runner=4711, boot=boot_id(), temporary=str(tmp_path / "temporary")))
        with pytest.raises(AlreadyUp) as already, Instance(instance.folder).lock():
            pass
        assert already.value.pid == 4711
    assert not instance.is_locked()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"leaders": 3}'])
def test_a_broken_record_counts_as_none(tmp_path: Path, content: str) -> None:
    instance = Instance(tmp_path)
    (tmp_path / "running.json").write_text(content)
    assert instance.read() is None
