"""The machine of a reader: a home, a checkout, ports that nobody else has, and shells."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.environments import cache_root
from tests.documents.blocks import CHECKOUT
from tests.documents.reader import Reader
from tests.examples.terminal import Terminal
from tests.integration.local.instance import free_ports

VARIABLES = {
    "8080": "TIERFLOW_PORT",
    "8090": "TIERFLOW_DEVICE_PORT",
    "8101": "TIERFLOW_EDGE_PORT",
    "8102": "TIERFLOW_CLOUD_PORT",
    "8111": "TIERFLOW_EDGE_DRAFT_PORT",
    "8112": "TIERFLOW_CLOUD_DRAFT_PORT",
}
"""Of the ports that the pages name, those that a variable moves."""
OTHER_PORTS = ("9000", "9001", "6379")
_NETCAT = """
import socket, sys, threading
with socket.create_connection((sys.argv[-2], int(sys.argv[-1]))) as line:
    line.sendall(sys.stdin.buffer.read())
    line.settimeout(1)
    try:
        while got := line.recv(1 << 16):
            sys.stdout.buffer.write(got)
    except TimeoutError:
        pass
"""


@dataclass
class Machine:
    """`ports` are those that are used here, by those that the pages name. `variables`: what the
    reader's shells have beside the ports."""

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        named = (*VARIABLES, *OTHER_PORTS)
        self.ports = dict(zip(named, map(str, free_ports(len(named))), strict=True))
        (self.folder / "netcat.py").write_text(_NETCAT)
        # Links: what commands write lies beside, and not in the checkout of the tests.
        for entry in CHECKOUT.iterdir():
            if not entry.name.startswith((".", "bench-results", "build")):
                (self.folder / entry.name).symlink_to(entry)

    @property
    def gateway(self) -> str:
        return f"http://127.0.0.1:{self.ports['8080']}"

    @property
    def state(self) -> Path:
        """Of the instance of `make up`."""
        return self.folder / ".local/state/tierflow" / self.ports["8080"]

    def reader(self, python: str = sys.executable, **variables: str) -> Reader:
        """`python`: what the reader's `python` is."""
        redis = self.ports["6379"]
        programs = {
            "python": f'exec {python} "$@"',
            # Its progress would be among what is compared.
            "curl": f'exec {shutil.which("curl")} -sS "$@"',
            "redis-cli": f'exec {shutil.which("redis-cli")} -p {redis} "$@"',
            "redis-server": f'exec {shutil.which("redis-server")} --port {redis} "$@"',
        }
        if not shutil.which("nc"):
            programs["nc"] = f'exec {sys.executable} {self.folder}/netcat.py "$@"'
        ports = {variable: self.ports[port] for port, variable in VARIABLES.items()}
        return Reader(
            folder=self.folder,
            addresses={**self.ports, "GATEWAY": "127.0.0.1"},
            variables={
                **ports,
                "TIERFLOW_CACHE": str(cache_root()),
                "TIERFLOW_BENCH_RESULTS": str(self.folder / "results"),
                **self.variables,
                **variables,
            },
            simulated=False,
            programs=programs,
            patience_s=600,
        )

    def terminal(self, reader: Reader) -> Terminal:
        return Terminal(self.folder, reader.environment())
