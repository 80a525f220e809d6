"""The tables of docs/clients.md, from what the suite asks and from what it lets differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tests.clients.clients import CLIENTS, TITLES
from tests.clients.differences import BOTH, MEANT
from tests.clients.environments import version


def clients_table() -> str:
    """Each client, its version, and the cases that it is asked in."""
    head = ["client", "package", *TITLES.values()]
    return _table(head, (_client(title) for title in CLIENTS))


def without_list() -> str:
    """What is not asked, and why."""
    return "\n".join(
        f"- {client.title}: {client.without}" for client in CLIENTS.values() if client.without
    )


def differences_table() -> str:
    """Every field that may be other than at the engine."""
    return _table(["where", "answer", "fields", "why"], _differences())


def _client(title: str) -> Iterator[str]:
    client = CLIENTS[title]
    yield title
    yield f"`{client.package}` {version(client)}"
    for case in TITLES:
        yield "yes" if case in client.cases else "–"


def _differences() -> Iterator[list[str]]:
    for one in MEANT:
        where = "gateway, device agent" if one.at == BOTH else one.at
        fields = ", ".join(f"`{field}`" for field in one.fields)
        yield [where, one.answer, fields, one.why]


def _table(head: Sequence[str], lines: Iterable[Iterable[str]]) -> str:
    rows = [list(head), ["---"] * len(head), *(list(line) for line in lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
