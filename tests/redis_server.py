"""Real Redis for tests: one server, one with replicas under Sentinel, and a cluster of masters.

    with redis_server(tmp_path) as redis:          # redis.url, redis.kill(), redis.start()
    with sentinels(tmp_path) as group:             # group.addresses, group.name, group.master()
    with redis_cluster(tmp_path) as cluster:       # cluster.url, cluster.nodes

Every process listens on the loopback at a free port, saves nothing, and ends with the test run.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from deploy.local.processes import die_with_parent
from tests.servers import eventually, free_port

BINARY = shutil.which("redis-server")
needs_redis = pytest.mark.skipif(
    BINARY is None, reason="redis-server is not installed; Debian's package redis-server has it"
)
SLOTS = 16384
MASTER = "tierflow"
SENTINEL_PERIODS = (
    *("INFO-PERIOD", "200", "PING-PERIOD", "200", "ASK-PERIOD", "200", "PUBLISH-PERIOD", "200"),
    *("ELECTION-TIMEOUT", "2000"),
)
"""Milliseconds between what sentinels tell and ask. When a server counts as down is as it is."""


@dataclass
class RedisServer:
    """A redis-server that can be stopped, frozen and started again at its port."""

    folder: Path
    options: Sequence[str] = ()
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"redis://{self.address}/0"

    def client(self, **options: object) -> redis.Redis:
        """For a test's own looks: it waits, and answers str."""
        return redis.Redis(
            host="127.0.0.1",
            port=self.port,
            decode_responses=True,
            socket_timeout=5,
            retry=Retry(NoBackoff(), 0),
            **options,  # type: ignore[arg-type]
        )

    def start(self, file: Path | None = None) -> RedisServer:
        """Start it and wait until it answers. `file`: a configuration that it may write to."""
        assert BINARY is not None
        command = [BINARY, *([str(file)] if file else []), "--port", str(self.port)]
        command += ["--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        command += ["--appendonly", "no", "--protected-mode", "no", *self.options]
        with (self.folder / f"redis-{self.port}.log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=partial(die_with_parent, signal.SIGKILL),
            )
        eventually(self._answers, f"redis-server answers at {self.address}")
        return self

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / f"redis-{self.port}.log").read_text()
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.AuthenticationError:
            return True
        except redis.RedisError:
            return False

    def freeze(self) -> None:
        """It accepts connections and stays silent, as the kernel does it for the stopped."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)


@contextmanager
def redis_server(folder: Path, *options: str) -> Iterator[RedisServer]:
    server = RedisServer(folder, options).start()
    try:
        yield server
    finally:
        server.kill()


@dataclass
class SentinelGroup:
    """`servers` are a master and its replicas at the start; `sentinels` watch them."""

    servers: Sequence[RedisServer]
    sentinels: Sequence[RedisServer]
    name: str = MASTER

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(each.address for each in self.sentinels)

    def master(self) -> RedisServer:
        """Whom the first sentinel takes for it now."""
        with self.sentinels[0].client() as client:
            _, port = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name)
        (found,) = [each for each in self.servers if each.port == int(port)]
        return found

    def _settled(self) -> bool:
        """Each sentinel knows the others and a replica that it could promote, which has the
        master's state."""
        for sentinel in self.sentinels:
            with sentinel.client() as client:
                state = client.execute_command("SENTINEL", "MASTER", self.name)
            known = (
                state
                if isinstance(state, dict)
                else dict(zip(state[::2], state[1::2], strict=True))
            )
            others, replicas = int(known["num-other-sentinels"]), int(known["num-slaves"])
            if others < len(self.sentinels) - 1 or replicas < len(self.servers) - 1:
                return False
        with self.servers[0].client() as client:
            known = client.info("replication")
        names = [f"slave{number}" for number in range(len(self.servers) - 1)]
        return all(name in known and known[name]["state"] == "online" for name in names)


@contextmanager
def sentinels(folder: Path, replicas: int = 1, watchers: int = 3) -> Iterator[SentinelGroup]:
    with ExitStack() as stack:
        at_once = ("--repl-diskless-sync-delay", "0")
        master = stack.enter_context(redis_server(folder, *at_once))
        of = (*at_once, "--replicaof", "127.0.0.1", str(master.port))
        servers = [master]
        servers += [stack.enter_context(redis_server(folder, *of)) for _ in range(replicas)]
        watching = [_sentinel(folder, master, stack) for _ in range(watchers)]
        group = SentinelGroup(servers, watching)
        eventually(group._settled, "the sentinels know one another and the replica", 30)
        yield group


def _sentinel(folder: Path, master: RedisServer, stack: ExitStack) -> RedisServer:
    server = RedisServer(folder, ("--sentinel",))
    file = folder / f"sentinel-{server.port}.conf"
    file.write_text(
        f"sentinel monitor {MASTER} 127.0.0.1 {master.port} 2\n"
        f"sentinel down-after-milliseconds {MASTER} 1000\n"
        f"sentinel failover-timeout {MASTER} 5000\n"
    )
    stack.callback(server.kill)
    server.start(file)
    with server.client() as client:
        client.execute_command("SENTINEL", "DEBUG", *SENTINEL_PERIODS)
    return server


@dataclass
class RedisCluster:
    nodes: Sequence[RedisServer]

    @property
    def url(self) -> str:
        return self.nodes[0].url

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(each.address for each in self.nodes)

    def settled(self) -> bool:
        for node in self.nodes:
            with node.client() as client:
                info = str(client.execute_command("CLUSTER INFO"))
            if "cluster_state:ok" not in info and "'cluster_state': 'ok'" not in info:
                return False
        return True


@contextmanager
def redis_cluster(folder: Path, masters: int = 3) -> Iterator[RedisCluster]:
    """`masters` that share the slots evenly, without replicas."""
    with ExitStack() as stack:
        nodes = []
        for _ in range(masters):
            server = RedisServer(folder)
            server.options = (
                "--cluster-enabled", "yes",
                "--cluster-config-file", f"nodes-{server.port}.conf",
                "--cluster-port", str(free_port()),
                "--cluster-node-timeout", "1000",
            )  # fmt: skip
            stack.callback(server.kill)
            nodes.append(server.start())
        _join(nodes)
        cluster = RedisCluster(nodes)
        eventually(cluster.settled, "the cluster's nodes agree", 30)
        yield cluster


def _join(nodes: Sequence[RedisServer]) -> None:
    share = SLOTS // len(nodes)
    for number, node in enumerate(nodes):
        first = number * share
        last = SLOTS - 1 if number == len(nodes) - 1 else first + share - 1
        with node.client() as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
    for node in nodes[1:]:
        bus = node.options[node.options.index("--cluster-port") + 1]
        with nodes[0].client() as client:
            client.execute_command("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
