"""Where the gateway leaves drafts for this engine: a TCP port, authenticated, bounded.

The scheduler itself looks into the sockets, once a step and without waiting: a thread that read
them would be woken by every message, and take the interpreter from the step each time (8 % of a
small model's step). A thread only stands in while no steps run. gateway/protocol/mailbox.py holds
the wire.
"""

from __future__ import annotations

import hmac
import selectors
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable

import msgspec

from gateway.protocol import mailbox as wire
from gateway.protocol.mailbox import DraftMessage, MailboxGreeting
from services.vllm_server.race.mailbox_tls import MailboxTls
from services.vllm_server.race.peer import Peer, PeerGone

MAX_WAITING = 4096
"""Messages that no step has fetched yet; beyond that the oldest go, as the likeliest to be late."""

MAX_CONNECTIONS = 64
"""Of peers that have shown that they know the secret."""
MAX_STRANGERS = 64
"""Connections that have not shown it yet. One more takes the place of the oldest from the address
that has most of them: whoever floods the port closes its own."""
MAX_HANDSHAKES = 4
"""Steps of TLS handshakes in one look: they take the time of the engine's step."""
MAX_ACCEPTED = 16
"""Connections accepted in one look; a step does not wait for more."""
HANDSHAKE_S = 2.0
BUSY_S, BREATH_S = 0.2, 0.001
"""While steps run, a thread sees every BUSY_S whether they still do. While none do, it waits for
the sockets; between two looks it rests for BREATH_S, whatever comes."""

Report = Callable[[], dict[str, int]]


class MailboxServer:
    """The engine's side of the mailbox: a TCP server for drafts on `host`:`port` until `close`.

    `drain` returns what has arrived. `report` gives the scheduler's counts, which are sent to the
    gateway with the server's own. A wrong secret or a broken frame costs the peer its connection.
    A message of another shape is dropped alone, and so are token ids of the vocabulary's size or
    beyond: no engine may be asked to embed them. All are counted. Raises OSError where the address
    can't be listened on. `tls`: None where the secret alone protects the mailbox.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        secret: bytes,
        greeting: MailboxGreeting,
        report: Report,
        tls: MailboxTls | None = None,
    ) -> None:
        self._secret = secret
        self._tls = tls
        self._greeting = greeting
        self._report = report
        self._waiting: deque[tuple[DraftMessage, int]] = deque(maxlen=MAX_WAITING)
        self._peers: set[Peer] = set()
        # In the order in which they came.
        self._strangers: dict[Peer, None] = {}
        self._counts = dict.fromkeys(("denied", "refused", "foreign", "dropped", "turned_away"), 0)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family)
        self._listener.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._polling = threading.Lock()
        self._stepped = 0.0
        self._closed = threading.Event()
        # A daemon: it ends with the engine, however that ends.
        self._thread = threading.Thread(
            target=self._poll_while_idle, name="draft-mailbox", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def drain(self, limit: int) -> list[tuple[DraftMessage, int]]:
        """At most `limit` messages, each with its arrival (monotonic, us). Never waits."""
        self._stepped = self._poll()
        waiting = self._waiting
        return [waiting.popleft() for _ in range(min(limit, len(waiting)))] if waiting else []

    def counts(self) -> dict[str, int]:
        """Since the start, but for `connections`, which is now."""
        return self._report() | self._counts | {"connections": len(self._peers)}

    def close(self) -> None:
        self._closed.set()
        self._thread.join(5.0)
        with self._polling:
            for peer in [*self._peers, *self._strangers]:
                self._drop(peer)
            self._selector.close()
            self._listener.close()

    def _poll_while_idle(self) -> None:
        pause = BREATH_S
        while not self._closed.wait(pause):
            idle = time.monotonic() - self._stepped >= BUSY_S
            pause = BREATH_S if idle else BUSY_S
            if idle:
                # Whoever measures the way here at such a time is answered at once.
                self._selector.select(BUSY_S)
                self._poll()

    def _poll(self) -> float:
        """One look into all sockets, unless another thread is at it; returns when that was."""
        now = time.monotonic()
        if self._closed.is_set() or not self._polling.acquire(blocking=False):
            return now
        try:
            handshakes = 0
            for key, _ in self._selector.select(0):
                if key.data is None:
                    self._accept(now)
                elif key.data.greeted:
                    self._read(key.data)
                elif handshakes < MAX_HANDSHAKES:
                    handshakes += 1
                    self._greet(key.data)
            for peer in [peer for peer in self._strangers if now > peer.deadline]:
                self._drop(peer)
        finally:
            self._polling.release()
        return now

    def _accept(self, now: float) -> None:
        for _ in range(MAX_ACCEPTED):
            try:
                connection, address = self._listener.accept()
            except OSError:
                return
            if len(self._strangers) >= MAX_STRANGERS:
                self._turn_away(self._most_persistent())
            try:
                peer = Peer(
                    connection=connection,
                    deadline=now + HANDSHAKE_S,
                    address=address[0],
                    tls=self._tls.context(now) if self._tls else None,
                )
            except OSError:  # It has left already.
                connection.close()
                continue
            self._strangers[peer] = None
            self._selector.register(peer.connection, selectors.EVENT_READ, peer)
            if self._tls is None:
                self._greet(peer)

    def _greet(self, peer: Peer) -> None:
        if not self._holds(peer):
            return
        try:
            peer.greet()
        except PeerGone:
            self._drop(peer)

    def _most_persistent(self) -> Peer:
        """The oldest stranger from the address with most of them."""
        by_address = Counter(peer.address for peer in self._strangers)
        return max(self._strangers, key=lambda peer: by_address[peer.address])

    def _turn_away(self, peer: Peer) -> None:
        self._counts["turned_away"] += 1
        self._drop(peer)

    def _holds(self, peer: Peer) -> bool:
        return peer in self._peers or peer in self._strangers

    def _read(self, peer: Peer) -> None:
        if not self._holds(peer):  # Dropped in this very look.
            return
        try:
            peer.receive()
            if not peer.admitted:
                self._admit(peer)
            while peer.admitted and (message := peer.message()) is not None:
                self._handle(message, peer)
        except PeerGone:
            self._drop(peer)
        except ValueError:
            self._counts["refused"] += 1
            self._drop(peer)

    def _admit(self, peer: Peer) -> None:
        proof = peer.proof()
        if proof is None:
            return
        if not hmac.compare_digest(proof, wire.proof(self._secret, peer.nonce)):
            self._counts["denied"] += 1
            raise PeerGone
        if len(self._peers) >= MAX_CONNECTIONS:
            self._turn_away(peer)
            return
        peer.send(wire.framed(self._greeting))
        peer.admitted = True
        del self._strangers[peer]
        self._peers.add(peer)

    def _handle(self, message: bytes, peer: Peer) -> None:
        if message == wire.COUNTS_QUESTION:
            peer.send(wire.framed(self.counts()))
            return
        try:
            drafts = wire.read_drafts(message)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self._counts["refused"] += 1
            return
        if max(drafts.tokens) >= self._greeting.vocabulary:
            self._counts["foreign"] += len(drafts.tokens)
            return
        if len(self._waiting) == MAX_WAITING:
            self._counts["dropped"] += 1
        self._waiting.append((drafts, time.monotonic_ns() // 1000))

    def _drop(self, peer: Peer) -> None:
        if not self._holds(peer):
            return
        self._peers.discard(peer)
        self._strangers.pop(peer, None)
        self._selector.unregister(peer.connection)
        peer.connection.close()
