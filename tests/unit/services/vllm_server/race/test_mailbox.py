"""The mailbox over real sockets: who is let in, what is taken, and that nothing grows."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from gateway.protocol import mailbox as wire
from gateway.protocol.mailbox import MailboxGreeting
from services.vllm_server.race import mailbox as module
from services.vllm_server.race.mailbox import MailboxServer
from tests.reference_verifier.client import SECRET, MailboxClient
from tests.servers import eventually

SESSION = "session-1"


def serve(secret: str, greeting: MailboxGreeting, port: int = 0) -> MailboxServer:
    return MailboxServer(
        host="127.0.0.1",
        port=port,
        secret=secret.encode(),
        greeting=greeting,
        report=lambda: {"offered": 7},
    )


@pytest.fixture
def mailbox() -> Iterator[MailboxServer]:
    opened = serve(SECRET, MailboxGreeting(wire.VERSION, 100, 16))
    yield opened
    opened.close()


@pytest.fixture
def client(mailbox: MailboxServer) -> Iterator[MailboxClient]:
    with MailboxClient(mailbox.port) as connected:
        yield connected


def test_it_greets_with_what_a_drafter_must_know(client: MailboxClient) -> None:
    assert client.greeting == {"version": 1, "vocabulary": 100, "per_step": 16}


def test_what_is_put_is_drained_once_and_in_order(
    mailbox: MailboxServer, client: MailboxClient
) -> None:
    client.put(SESSION, 0, [1, 2])
    client.put(SESSION, 2, [3], [1, 2])
    (first, came), (second, later) = mailbox.drain(99)
    assert (first.session, first.position, first.tokens, first.before) == (SESSION, 0, [1, 2], [])
    assert (second.position, second.before) == (2, [1, 2])
    assert came <= later
    assert mailbox.drain(99) == []


def test_a_step_drains_no_more_than_it_asks_for(
    mailbox: MailboxServer, client: MailboxClient
) -> None:
    for position in range(3):
        client.put(SESSION, position, [1])
    assert [drafts.position for drafts, _ in mailbox.drain(2)] == [0, 1]
    assert [drafts.position for drafts, _ in mailbox.drain(2)] == [2]


def test_counts_hold_those_of_the_scheduler_too(client: MailboxClient) -> None:
    counts = client.counts()
    assert counts["offered"] == 7
    assert counts["connections"] == 1


def test_a_wrong_secret_is_turned_away(mailbox: MailboxServer, client: MailboxClient) -> None:
    with pytest.raises(ConnectionError):
        MailboxClient(mailbox.port, "a wrong secret of this test")
    assert client.counts()["denied"] == 1


def test_a_peer_that_says_nothing_is_dropped(
    mailbox: MailboxServer, client: MailboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HANDSHAKE_S", 0.05)
    with socket.create_connection(("127.0.0.1", mailbox.port), 10) as silent:
        assert len(silent.recv(wire.NONCE_BYTES)) == wire.NONCE_BYTES
        assert silent.recv(1) == b""


@pytest.mark.parametrize(
    "content",
    [
        ["short", 0, [1], []],
        [SESSION, -1, [1], []],
        [SESSION, 0, [], []],
        [SESSION, 0, [1] * (wire.MAX_TOKENS + 1), []],
        [SESSION, 0, [-1], []],
        [SESSION, 0, [1], [2] * (wire.MAX_BEFORE + 1)],
        [SESSION, 0, [1], [], 5],
        [SESSION, 0],
        {"session": SESSION},
        "text",
    ],
)
def test_a_message_that_is_none_costs_only_itself(
    mailbox: MailboxServer, client: MailboxClient, content: object
) -> None:
    client.send(wire.framed(content))
    client.put(SESSION, 0, [5])
    assert client.counts()["refused"] == 1
    assert [drafts.tokens for drafts, _ in mailbox.drain(9)] == [[5]]


@pytest.mark.parametrize("size", [0, wire.MAX_MESSAGE_BYTES + 1, 2**32 - 1])
def test_a_broken_frame_costs_the_connection(
    mailbox: MailboxServer, client: MailboxClient, size: int
) -> None:
    with MailboxClient(mailbox.port) as broken:
        broken.send(size.to_bytes(4, "big"))
        with pytest.raises(ConnectionError):
            broken.receive()
    assert client.counts()["refused"] == 1


def test_ids_beyond_the_vocabulary_are_refused(
    mailbox: MailboxServer, client: MailboxClient
) -> None:
    client.put(SESSION, 0, [1, 100])
    assert client.counts()["foreign"] == 2
    assert mailbox.drain(9) == []


def test_in_a_flood_the_oldest_are_lost(mailbox: MailboxServer, client: MailboxClient) -> None:
    for position in range(module.MAX_WAITING + 2):
        client.send(wire.framed([SESSION, position, [1], []]))
    assert client.counts()["dropped"] == 2
    waiting = [drafts.position for drafts, _ in mailbox.drain(10**6)]
    assert waiting == list(range(2, module.MAX_WAITING + 2))


def test_connections_are_bounded(
    mailbox: MailboxServer, client: MailboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 1)
    with pytest.raises(ConnectionError):
        MailboxClient(mailbox.port)
    assert client.counts()["turned_away"] == 1


def silent_stranger(port: int, address: str = "127.0.0.1") -> socket.socket:
    """A connection from `address` that has got its nonce and says nothing."""
    stranger = socket.create_connection(("127.0.0.1", port), 10, source_address=(address, 0))
    assert len(stranger.recv(wire.NONCE_BYTES)) == wire.NONCE_BYTES
    return stranger


def test_silent_strangers_take_no_members_place(
    mailbox: MailboxServer, client: MailboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HANDSHAKE_S", 60)
    with ExitStack() as stack:
        strangers = [
            stack.enter_context(silent_stranger(mailbox.port))
            for _ in range(module.MAX_STRANGERS + 16)
        ]
        member = stack.enter_context(MailboxClient(mailbox.port))
        counts = member.counts()
        assert counts["connections"] == 2
        assert counts["turned_away"] == 17
        assert [stranger.recv(1) for stranger in strangers[:17]] == [b""] * 17


def test_a_flood_from_one_address_closes_no_connection_of_another(
    mailbox: MailboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HANDSHAKE_S", 60)
    with ExitStack() as stack:
        slow = stack.enter_context(silent_stranger(mailbox.port, "127.0.0.2"))
        flood = [
            stack.enter_context(silent_stranger(mailbox.port))
            for _ in range(module.MAX_STRANGERS + 3)
        ]
        assert [each.recv(1) for each in flood[:4]] == [b""] * 4
        slow.settimeout(0.1)
        with pytest.raises(TimeoutError):
            slow.recv(1)


def test_a_connection_that_ends_makes_room(mailbox: MailboxServer, client: MailboxClient) -> None:
    MailboxClient(mailbox.port).close()
    assert eventually(lambda: client.counts()["connections"] == 1, "the other one is gone")
    assert client.counts()["turned_away"] == 0


def test_an_address_in_use_is_an_error(mailbox: MailboxServer) -> None:
    with pytest.raises(OSError):
        serve(SECRET, MailboxGreeting(1, 1, 1), mailbox.port)
