import os
import sys
from pathlib import Path

import psutil
import pytest

from loadtest.measure.command import BenchmarkFailure
from loadtest.measure.processes import Cores, Processes, free_port, on_cores

SERVER = """
import http.server, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN if "stubborn" in sys.argv else signal.SIG_DFL)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler
).serve_forever()
"""


def gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("manner", ["obedient", "stubborn"])
def test_nothing_is_left_when_the_block_ends_with_an_error(tmp_path: Path, manner: str) -> None:
    port = free_port()
    command = [sys.executable, "-c", SERVER, str(port), manner]
    with pytest.raises(KeyboardInterrupt), Processes(tmp_path, patience_s=0.5) as processes:
        running = processes.start("server", command, cores=os.sched_getaffinity(0), port=port)
        running.wait_ready("/", 30)
        child = int(running.log.read_text().split()[0])
        assert not gone(running.pid) and not gone(child)
        raise KeyboardInterrupt
    assert gone(running.pid) and gone(child)


def test_a_process_that_ends_early_is_named_with_its_log(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        command = [sys.executable, "-c", "raise SystemExit(7)"]
        running = processes.start("short", command, cores=os.sched_getaffinity(0), port=free_port())
        with pytest.raises(BenchmarkFailure, match=r"short ended with code 7; see .*short\.log"):
            running.wait_ready("/", 30)


def test_output_and_exit_code_of_a_command_are_kept(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        command = [sys.executable, "-c", "print('done'); raise SystemExit(3)"]
        running = processes.start("command", command, cores=os.sched_getaffinity(0))
        assert running.wait(30) == 3
    assert running.log.read_text() == "done\n"


def test_what_is_measured_has_its_core_for_itself_where_there_are_two() -> None:
    assert Cores.split({0, 1, 2}) == Cores(measured={2}, others={0, 1})
    assert Cores.split({5}) == Cores(measured={5}, others={5})


def test_a_block_on_cores_gives_them_back() -> None:
    before = os.sched_getaffinity(0)
    one = {max(before)}
    with on_cores(one):
        assert os.sched_getaffinity(0) == one
    assert os.sched_getaffinity(0) == before


def test_a_process_is_moved_and_gives_way_with_its_children(tmp_path: Path) -> None:
    port, cores = free_port(), os.sched_getaffinity(0)
    command = [sys.executable, "-c", SERVER, str(port)]
    with Processes(tmp_path, patience_s=0.5) as processes:
        running = processes.start("server", command, cores=cores, port=port)
        running.wait_ready("/", 30)
        pids = (running.pid, int(running.log.read_text().split()[0]))
        running.pin({max(cores)})
        running.give_way()
        assert {os.sched_getscheduler(pid) for pid in pids} == {os.SCHED_IDLE}
        assert all(os.sched_getaffinity(pid) == {max(cores)} for pid in pids)
