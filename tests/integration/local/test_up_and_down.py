"""One command brings everything up; however it ends, no process and no port stays behind."""

from __future__ import annotations

import shlex
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.integration.local.instance import Run, free_ports, is_free, members, up, up_at
from tests.servers import metric_in

pytestmark = pytest.mark.integration

UP = "tierflow is up: "


def nothing_is_left(run: Run, sessions: set[int]) -> bool:
    return not members(sessions) and all(is_free(port) for port in run.ports)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """An instance to ask, not to stop, whose output has been read up to its curl."""
    with up(tmp_path_factory.mktemp("up")) as run:
        run.read_until("curl ")
        run.read_until("-d ")
        yield run


def state_of(run: Run) -> Path:
    """The folder that was given for it."""
    return run.folder.parent.parent


def test_both_pools_answer_once_it_says_that_it_is_up(running: Run) -> None:
    url = f"http://127.0.0.1:{running.ports[0]}"
    assert running.lines.count(UP + url) == running.log.count(UP) == 1
    for model in ("rill-edge", "rill-cloud"):
        answer = httpx.post(
            f"{url}/v1/completions", json={"model": model, "prompt": "Hi", "max_tokens": 2}
        )
        assert answer.json()["usage"]["completion_tokens"] == 2
    assert httpx.get(f"{url}/ready").status_code == 200


def test_nothing_listens_for_other_machines_nor_on_a_port_that_is_not_its_own(
    running: Run,
) -> None:
    listening = {
        (each.laddr.ip, each.laddr.port)
        for pid in members(running.sessions())
        for each in psutil.Process(pid).net_connections()
        if each.status == psutil.CONN_LISTEN or each.type == socket.SOCK_DGRAM
    }
    assert listening == {("127.0.0.1", port) for port in running.ports}


def test_its_own_questions_at_the_start_fail_none(running: Run) -> None:
    page = httpx.get(f"http://127.0.0.1:{running.ports[0]}/metrics").text
    asked = metric_in(page, "tierflow_requests_total")
    assert asked == metric_in(page, "tierflow_requests_total", outcome="ok") >= 2


def test_the_curl_it_prints_works(running: Run) -> None:
    first, second = (next(line for line in running.lines if w in line) for w in ("curl ", "-d "))
    answer = subprocess.run(
        [*shlex.split(first.strip().removesuffix("\\") + second), "--silent", "--fail"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"choices"' in answer.stdout


def test_a_second_up_says_that_it_is_up_already(running: Run) -> None:
    port = str(running.ports[0])
    with up(state_of(running), TIERFLOW_PORT=port) as second:
        assert second.wait() == 1
        assert len(second.lines) == 1
        assert f"port {port} is in use: tierflow is already up there" in second.log
        second.environment["TIERFLOW_PORT"] = str(second.ports[0])
    assert httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200


def test_of_two_that_start_at_once_on_the_same_engine_ports_one_is_refused(tmp_path: Path) -> None:
    gateway, other_gateway, edge, cloud = free_ports(4)
    with (
        up_at([gateway, edge, cloud], tmp_path) as one,
        up_at([other_gateway, edge, cloud], tmp_path / "other") as other,
    ):
        ends = [run.read_until(UP, "belongs to another") for run in (one, other)]
        winner, loser = (one, other) if UP in ends[0] else (other, one)
        assert sum(UP in end for end in ends) == 1, "one is up, and only one"
        assert (loser.wait(), len(loser.lines)) == (1, 1)
        assert loser.log.startswith(
            f"tierflow: port {min(edge, cloud)} belongs to another tierflow"
        )
        assert loser.log.endswith(
            f"(process {winner.process.pid}) that is up or starting: choose another with "
            f"TIERFLOW_{'EDGE' if edge < cloud else 'CLOUD'}_PORT"
        )
        url = f"http://127.0.0.1:{winner.ports[0]}"
        assert httpx.get(f"{url}/ready").status_code == 200
        assert winner.down().returncode == 0


def test_two_that_start_at_once_on_ports_of_their_own_are_both_up(tmp_path: Path) -> None:
    ports = free_ports(6)
    with up_at(ports[:3], tmp_path) as one, up_at(ports[3:], tmp_path) as other:
        for run in (one, other):
            run.read_until(UP)
        sessions = one.sessions() | other.sessions()
        assert len(sessions) == 6
        for run in (one, other):
            answer = httpx.get(f"http://127.0.0.1:{run.ports[0]}/v1/models/rill-edge")
            assert answer.json()["ready"]
            assert run.down().returncode == 0
        assert not members(sessions)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything(tmp_path: Path, signum: signal.Signals) -> None:
    with up(tmp_path) as run:
        run.read_until(UP)
        sessions = run.sessions()
        run.process.send_signal(signum)
        assert run.wait() == 0
        assert nothing_is_left(run, sessions)
        assert run.lines[-1] == "tierflow is stopped"


def test_a_signal_while_it_starts_stops_everything(tmp_path: Path) -> None:
    with up(tmp_path) as run:
        run.read_until("starting edge, cloud, gateway")
        run.process.send_signal(signal.SIGTERM)
        assert run.wait() == 0
        assert nothing_is_left(run, set())
        assert not list(tmp_path.glob("**/running.json"))


def test_down_stops_it_from_another_shell(tmp_path: Path) -> None:
    with up(tmp_path) as run:
        run.read_until(UP)
        sessions = run.sessions()
        stopped = run.down()
        assert (stopped.returncode, stopped.stdout) == (0, "tierflow is stopped\n")
        assert run.wait() == 0
        assert nothing_is_left(run, sessions)


def test_down_with_nothing_up_says_so(tmp_path: Path) -> None:
    with up(tmp_path, TIERFLOW_PORT="none") as run:
        assert run.wait() == 2
    run.environment["TIERFLOW_PORT"] = str(run.ports[0])
    stopped = run.down()
    assert stopped.returncode == 0
    assert stopped.stdout == f"nothing is running on port {run.ports[0]}\n"


def test_a_killed_runner_takes_everything_with_it(tmp_path: Path) -> None:
    with up(tmp_path) as run:
        run.read_until(UP)
        parts = [run.part(name) for name in ("edge", "cloud", "gateway")]
        run.process.kill()
        run.process.wait()
        _, alive = psutil.wait_procs(parts, timeout=30)
        assert not alive
        assert run.down().returncode == 0
        assert not (run.folder / "running.json").exists()


@pytest.mark.parametrize("name", ["edge", "cloud", "gateway"])
def test_a_part_that_dies_is_named_and_the_rest_is_stopped(tmp_path: Path, name: str) -> None:
    with up(tmp_path) as run:
        run.read_until(UP)
        sessions = run.sessions()
        run.part(name).kill()
        assert run.wait() == 1
        assert run.lines[-1] == (
            f"tierflow: {name} stopped (killed by SIGKILL), so everything was stopped; "
            f"log: {run.folder / 'logs' / name}.log"
        )
        assert nothing_is_left(run, sessions)


def test_an_engine_that_does_not_start_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    with up(tmp_path, TIERFLOW_ENGINE_ARGS="--no-such-argument") as run:
        assert run.wait() == 1
        assert run.lines[-1].startswith(("tierflow: edge stopped", "tierflow: cloud stopped"))
        assert "--no-such-argument" in run.lines[-2]
        assert nothing_is_left(run, set())


def test_a_start_that_takes_too_long_is_given_up_with_the_late_parts_named(
    tmp_path: Path,
) -> None:
    with up(tmp_path, TIERFLOW_START_TIMEOUT="0.001") as run:
        assert run.wait() == 1
        assert run.lines[-1].startswith("tierflow: not ready after 0 s: edge (")
        assert nothing_is_left(run, set())


@pytest.mark.parametrize(
    ("variable", "index"),
    [("TIERFLOW_PORT", 0), ("TIERFLOW_EDGE_PORT", 1), ("TIERFLOW_CLOUD_PORT", 2)],
)
def test_a_port_in_use_is_refused_before_anything_is_started(
    tmp_path: Path, variable: str, index: int
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with up(tmp_path, **{variable: str(port)}) as run:
            assert run.wait() == 1
            assert len(run.lines) == 1
            assert run.log.startswith(f"tierflow: port {port} is in use")
            assert run.log.endswith(f"choose another with {variable}")


def test_a_bad_setting_is_refused_with_exit_code_2(tmp_path: Path) -> None:
    with up(tmp_path, TIERFLOW_KV_CACHE_GIB="lots") as run:
        assert run.wait() == 2
        assert run.lines == ["tierflow: TIERFLOW_KV_CACHE_GIB=lots: must be a number above 0"]


def test_a_variable_that_nothing_reads_is_refused_with_exit_code_2(tmp_path: Path) -> None:
    with up(tmp_path, TIERFLOW_EDGE_MODLE="x") as run:
        assert run.wait() == 2
        assert run.lines == [
            "tierflow: TIERFLOW_EDGE_MODLE is no variable of Tierflow; did you mean "
            "TIERFLOW_EDGE_MODEL?"
        ]


def test_a_missing_model_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    absent = str(tmp_path / "absent")
    with up(tmp_path, TIERFLOW_ENGINE="vllm", TIERFLOW_EDGE_MODEL=absent) as run:
        assert run.wait() == 1
        assert run.lines == [f"tierflow: TIERFLOW_EDGE_MODEL: there is no folder {absent}"]


def test_models_without_a_chat_template_are_served_and_named(tmp_path: Path) -> None:
    with up(tmp_path, TIERFLOW_ENGINE_ARGS="--no-chat-template") as run:
        run.read_until("curl ")
        assert "/v1/completions" in run.lines[-1]
        told = run.read_until("no chat template")
        assert "the engines of rill-cloud, rill-edge have none: they refuse chats" in told
        assert "--chat-template FILE" in run.read_until("TIERFLOW_ENGINE_ARGS")
        url = f"http://127.0.0.1:{run.ports[0]}"
        assert set(httpx.get(f"{url}/ready").json()["conditions"]) == {"chat-template-missing"}
        page = httpx.get(f"{url}/metrics").text
        assert metric_in(page, "tierflow_condition", condition="chat-template-missing") == 1
        asked = metric_in(page, "tierflow_requests_total")
        assert asked == metric_in(page, "tierflow_requests_total", outcome="ok") >= 2
        chat = {"model": "tierflow-auto", "messages": [{"role": "user", "content": "Hi"}]}
        refused = httpx.post(f"{url}/v1/chat/completions", json=chat)
        assert refused.status_code == 400
        assert "provide a chat template" in refused.json()["error"]["message"]
