"""The ports of an instance: held against other instances, and known to be its own parts'."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
from collections.abc import Iterator, Mapping

import psutil

from deploy.local.instance import Leader, processes_of


class PortHeld(Exception):
    """A port that another instance holds, whose runner is the process `pid`, if that is known."""

    def __init__(self, variable: str, port: int, pid: int | None) -> None:
        process = f" (process {pid})" if pid else ""
        super().__init__(
            f"port {port} belongs to another tierflow{process} that is up or starting: choose "
            f"another with {variable}"
        )


@contextlib.contextmanager
def hold_ports(ports: Mapping[str, int]) -> Iterator[None]:
    """Hold the ports, by their variables, for as long as the context lasts. Raises PortHeld.

    A part listens only after a while, so that a port may look free to two instances that start at
    the same moment. Each port is also a name in Linux's abstract namespace of sockets, which ends
    with its holder, however that ends, and reaches as far as the port itself does. Elsewhere
    nothing is held.
    """
    with contextlib.ExitStack() as stack:
        # In one order, so that of two instances one gets all it wants.
        for variable, port in sorted(ports.items(), key=lambda item: item[1]):
            if sys.platform == "linux":
                stack.enter_context(_hold(variable, port))
        yield


def _hold(variable: str, port: int) -> socket.socket:
    name = f"\0tierflow-port-{port}"
    mark = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        mark.bind(name)
        mark.listen()
    except OSError as error:
        mark.close()
        raise PortHeld(variable, port, _holder(name)) from error
    return mark


def _holder(name: str) -> int | None:
    """The process that holds a name."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(name)
            credentials = probe.getsockopt(
                socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")
            )
        except OSError:
            return None
    pid: int = struct.unpack("3i", credentials)[0]
    return pid or None


def listens(leader: Leader, port: int) -> bool:
    """Whether this part's own processes listen on the port; True where that can't be seen."""
    for process in processes_of([leader]):
        try:
            connections = process.net_connections(kind="tcp")
        except psutil.NoSuchProcess:
            continue
        except psutil.Error:
            return True
        if any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in connections):
            return True
    return False
