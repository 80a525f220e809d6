"""Discovery against an API server's stand-in: real HTTP, through the official client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from k8s.discovery import cluster
from k8s.discovery.discovery import Discovery, DiscoveryScope
from k8s.discovery.endpoints import Snapshot
from loadtest.kubernetes_api import (
    ApiServer,
    endpoint_slice,
    pod,
    running_api_server,
    shortest_pause_s,
)

pytestmark = pytest.mark.anyio

SELECTOR = {"app.kubernetes.io/part-of": "tierflow"}


class Heard:
    """A listener that remembers, and wakes who waits for a change."""

    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []
        self.problems: list[str] = []
        self.regains = 0
        self._news = asyncio.Event()

    def endpoints_changed(self, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)
        self._news.set()

    def watch_lost(self, namespace: str, problem: str) -> None:
        self.problems.append(problem)
        self._news.set()

    def watch_regained(self, namespace: str) -> None:
        self.regains += 1
        self._news.set()

    @property
    def ids(self) -> list[str]:
        return [e.id.partition(":")[0] for e in self.snapshots[-1].endpoints]

    async def until(self, condition: Callable[[], bool], seconds: float = 15.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self._news.clear()
                await self._news.wait()


class DiscoveryRig:
    def __init__(self, api: ApiServer, folder: Path, **wanted: object) -> None:
        self.api, self.folder, self.heard = api, folder, Heard()
        fields = {"namespaces": ["tierflow"], "selector": SELECTOR, **wanted}
        kubeconfig = str(api.kubeconfig(folder))
        self.pauses: list[int] = []
        self.discovery = Discovery(
            DiscoveryScope(kubeconfig=kubeconfig, **fields),  # type: ignore[arg-type]
            self.heard,
            self._pause_s,
        )

    def _pause_s(self, failures: int) -> float:
        self.pauses.append(failures)
        return shortest_pause_s(failures)

    @property
    def problem(self) -> str:
        return self.discovery.watches[0].problem

    async def sees(self, *addresses: str) -> None:
        heard = self.heard
        await heard.until(lambda: bool(heard.snapshots) and heard.ids == list(addresses))

    async def stands(self) -> None:
        await self.heard.until(lambda: not self.problem)

    async def fails(self, words: str) -> None:
        await self.heard.until(lambda: words in self.problem)


@asynccontextmanager
async def rig(folder: Path, **wanted: object) -> AsyncIterator[DiscoveryRig]:
    async with running_api_server() as api:
        api.put(endpoint_slice("a", pod("10.0.0.1")))
        built = DiscoveryRig(api, folder, **wanted)
        built.discovery.start()
        await built.sees("10.0.0.1")
        await built.stands()
        yield built
        await built.discovery.stop()


async def test_every_change_arrives_without_another_list(tmp_path: Path) -> None:
    async with rig(tmp_path) as here:
        here.api.put(endpoint_slice("b", pod("10.0.0.2")))
        await here.sees("10.0.0.1", "10.0.0.2")
        here.api.put(endpoint_slice("a", pod("10.0.0.1", False)))
        await here.sees("10.0.0.2")
        here.api.delete("b")
        await here.sees()
        assert here.api.count("list") == 1


async def test_only_what_the_labels_select_is_seen(tmp_path: Path) -> None:
    async with rig(tmp_path) as here:
        foreign = {"app.kubernetes.io/part-of": "another"}
        here.api.put(endpoint_slice("foreign", pod("10.0.0.7"), labels=foreign))
        here.api.put(endpoint_slice("elsewhere", pod("10.0.0.8"), namespace="other"))
        here.api.put(endpoint_slice("b", pod("10.0.0.2")))
        await here.sees("10.0.0.1", "10.0.0.2")
        here.api.put(endpoint_slice("b", pod("10.0.0.2"), labels=foreign))
        await here.sees("10.0.0.1")


async def test_other_namespaces_are_watched_where_they_are_named(tmp_path: Path) -> None:
    async with rig(tmp_path, namespaces=["tierflow", "site"]) as here:
        here.api.put(endpoint_slice("b", pod("10.0.0.2"), namespace="site"))
        await here.sees("10.0.0.1", "10.0.0.2")
        assert {each.namespace for each in here.api.requests} == {"tierflow", "site"}


async def test_a_watch_that_breaks_in_the_middle_of_a_line_goes_on_where_it_was(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path) as here:
        here.api.put(endpoint_slice("b", pod("10.0.0.2")))
        await here.sees("10.0.0.1", "10.0.0.2")
        here.api.drop()
        await here.fails("no connection to the API server")
        here.api.put(endpoint_slice("a", pod("10.0.0.1", False)))
        await here.sees("10.0.0.2")
        assert here.api.count("list") == 1


async def test_a_watch_that_ends_in_good_order_is_no_failure(tmp_path: Path) -> None:
    async with rig(tmp_path) as here:
        here.api.bookmark()
        here.api.end()
        here.api.put(endpoint_slice("b", pod("10.0.0.2")))
        await here.sees("10.0.0.1", "10.0.0.2")
        assert (here.heard.problems, here.api.count("list")) == ([], 1)


async def test_a_bookmark_moves_on_where_the_next_watch_begins(tmp_path: Path) -> None:
    async with rig(tmp_path) as here:
        # Versions grow by what happens to others, too.
        here.api.put(endpoint_slice("foreign", pod("10.0.0.9"), namespace="other"))
        here.api.forget()
        here.api.bookmark()
        here.api.end()
        here.api.put(endpoint_slice("b", pod("10.0.0.2")))
        await here.sees("10.0.0.1", "10.0.0.2")
        assert here.api.count("list") == 1
        assert all(each.bookmarks for each in here.api.requests if each.verb == "watch")


@pytest.mark.parametrize("as_event", [False, True])
async def test_an_expired_version_is_answered_with_a_new_list(
    tmp_path: Path, as_event: bool
) -> None:
    async with rig(tmp_path) as here:
        here.api.gone_as_event = as_event
        here.api.put(endpoint_slice("b", pod("10.0.0.2")))
        await here.sees("10.0.0.1", "10.0.0.2")
        here.api.drop()
        here.api.delete("b")
        here.api.forget()
        await here.sees("10.0.0.1")
        assert here.api.count("list") == 2


async def test_a_restart_that_forgets_the_version_costs_one_list_and_no_second_loss(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path) as here:
        await here.api.stop()
        await here.fails("no connection to the API server")
        async with asyncio.timeout(15):
            while here.discovery.watches[0].failures < 3:
                await asyncio.sleep(0.02)
        here.api.put(endpoint_slice("b", pod("10.0.0.2")))
        here.api.forget()
        told, pauses = len(here.heard.problems), here.pauses.copy()
        await here.api.start()
        await here.sees("10.0.0.1", "10.0.0.2")
        await here.stands()
        assert [each.verb for each in here.api.requests[-3:]] == ["watch", "list", "watch"]
        assert (len(here.heard.problems), here.heard.regains) == (told, 2)
        assert len(here.pauses) <= len(pauses) + 1, "no pause came between the 410 and the list"


async def test_an_api_server_whose_lists_expire_at_once_is_not_asked_without_a_pause(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path) as here:
        here.api.first_line = watch_error(410, "too old resource version: 7 (9)")
        here.api.interject(here.api.first_line)
        await here.fails("has expired")
        assert (here.api.count("list"), here.pauses[:1]) == (2, [1])
        here.api.put(endpoint_slice("b", pod("10.0.0.2")))
        here.api.first_line = None
        await here.sees("10.0.0.1", "10.0.0.2")
        await here.stands()


async def test_a_server_that_warms_up_after_an_outage_is_not_taken_for_a_missing_role(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path) as here:
        await here.api.stop()
        await here.fails("no connection to the API server")
        here.api.put(endpoint_slice("b", pod("10.0.0.2")))
        here.api.warm_up = 1
        await here.api.start()
        await here.sees("10.0.0.1", "10.0.0.2")
        await here.stands()
        assert not any("Role" in problem for problem in here.heard.problems)


async def test_a_right_that_stays_away_after_an_outage_is_told(tmp_path: Path) -> None:
    async with rig(tmp_path) as here:
        await here.api.stop()
        await here.fails("no connection to the API server")
        here.api.warm_up = 2
        await here.api.start()
        await here.fails("get, list and watch on endpointslices")


async def test_a_watch_that_answers_200_and_then_an_error_does_not_count_as_regained(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path) as here:
        here.api.first_line = watch_error(500, "etcdserver: leader changed")
        here.api.drop()
        await here.fails("the API server answered 500")
        assert here.heard.regains == 1
        here.api.first_line = None
        await here.stands()
        assert here.heard.regains == 2


def watch_error(code: int, message: str) -> bytes:
    status = {"kind": "Status", "status": "Failure", "code": code, "message": message}
    return json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"


async def test_a_lost_api_server_takes_nothing_away_and_comes_back(tmp_path: Path) -> None:
    async with rig(tmp_path) as here:
        await here.api.stop()
        await here.fails("no connection to the API server")
        assert here.heard.ids == ["10.0.0.1"]
        here.api.put(endpoint_slice("b", pod("10.0.0.2")))
        await here.api.start()
        await here.sees("10.0.0.1", "10.0.0.2")
        await here.stands()
        assert here.discovery.watches[0].failures > 0


async def test_an_api_server_that_never_answers_counts_as_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "OPEN_S", 0.2)
    async with rig(tmp_path) as here:
        here.api.silent = True
        here.api.drop()
        await here.fails("no answer in time")
        here.api.put(endpoint_slice("b", pod("10.0.0.2")))
        here.api.silent = False
        await here.sees("10.0.0.1", "10.0.0.2")


@pytest.mark.parametrize("page", [None, "<h1>Bad Gateway</h1>"])
async def test_server_errors_are_told_and_outlived(tmp_path: Path, page: str | None) -> None:
    async with rig(tmp_path) as here:
        here.api.refuse, here.api.page = 502, page
        here.api.drop()
        await here.fails("the API server answered 502")
        here.api.put(endpoint_slice("b", pod("10.0.0.2")))
        here.api.refuse = None
        await here.sees("10.0.0.1", "10.0.0.2")
        assert here.heard.ids == ["10.0.0.1", "10.0.0.2"]


async def test_a_missing_right_is_named_with_what_to_grant(tmp_path: Path) -> None:
    async with running_api_server() as api:
        api.refuse, api.say = 403, 'User "system:serviceaccount:x:y" cannot list'
        here = DiscoveryRig(api, tmp_path)
        here.discovery.start()
        await here.fails("get, list and watch on endpointslices")
        assert "namespace tierflow" in here.problem and "serviceaccount:x:y" in here.problem
        assert here.discovery.settled
        api.put(endpoint_slice("a", pod("10.0.0.1")))
        api.refuse = None
        await here.sees("10.0.0.1")
        await here.discovery.stop()


async def test_a_right_to_list_but_not_to_watch_is_told_and_what_was_listed_is_used(
    tmp_path: Path,
) -> None:
    async with running_api_server() as api:
        api.put(endpoint_slice("a", pod("10.0.0.1")))
        api.refuse_watches = 403
        here = DiscoveryRig(api, tmp_path)
        here.discovery.start()
        await here.sees("10.0.0.1")
        await here.fails("get, list and watch on endpointslices")
        await here.discovery.stop()


async def test_new_credentials_are_read_where_the_old_ones_are_refused(tmp_path: Path) -> None:
    async with rig(tmp_path) as here:
        here.api.token = "rotated"
        here.api.drop()
        await here.fails("does not accept the credentials")
        here.api.kubeconfig(tmp_path, token="rotated")
        here.api.put(endpoint_slice("b", pod("10.0.0.2")))
        await here.sees("10.0.0.1", "10.0.0.2")
        assert here.api.requests[-1].token == "rotated"


@pytest.mark.parametrize(
    "line",
    [
        b"no json\n",
        b"[]\n",
        b'{"type": "MODIFIED", "object": {"metadata": 7}}\n',
        b'{"type": "ERROR", "object": {"kind": "Status", "code": 500, "message": "etcd"}}\n',
    ],
)
async def test_whatever_a_watch_says_its_watcher_lives_on(tmp_path: Path, line: bytes) -> None:
    async with rig(tmp_path) as here:
        here.api.interject(line)
        await here.heard.until(lambda: bool(here.heard.problems))
        here.api.put(endpoint_slice("b", pod("10.0.0.2")))
        await here.sees("10.0.0.1", "10.0.0.2")
        assert here.api.count("list") == 2


async def test_everything_is_listed_anew_after_a_while(tmp_path: Path) -> None:
    async with rig(tmp_path, resync_s=1.0) as here:
        async with asyncio.timeout(15):
            while here.discovery.watches[0].lists < 3:
                await asyncio.sleep(0.02)
        assert here.heard.problems == []
        # The same once more is no news.
        assert len(here.heard.snapshots) == 1
