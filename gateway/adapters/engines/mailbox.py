"""An engine's mailbox, where drafts are left: one TCP connection that is always kept up.

Nothing here waits for the engine: while the connection is down, or full, drafts are refused, and
the answers go on undrafted. The wire stands in gateway/protocol/mailbox.py.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from gateway.core.speculation.job import DraftFacts, DraftRun
from gateway.protocol import mailbox as wire
from gateway.protocol.backoff import pause_s

HANDSHAKE_S = 5.0
MAX_BUFFER = 256 * 1024
"""Bytes that may wait for the engine; what is older than that is stale anyway."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0
COUNTS_EVERY_S = 5.0
MAX_UNANSWERED = 3
ROUND_TRIPS = 4
"""Of so many round trips the shortest tells of the link: an engine that works looks into its
mailbox once a step, which makes the others longer."""

log = structlog.get_logger("tierflow.mailbox")


class MailboxRefused(Exception):
    """An other side that speaks something else, or doesn't know our secret."""


class Mailbox:
    """The client of an engine's mailbox for drafts. `start` keeps it connected to `address` until
    `stop`; `problem` is empty while it is.

    `counts` are the engine's own, as of `counts_every_s` seconds ago at most. `facts` tell of the
    round trip, too, from the first greeting on.
    """

    def __init__(
        self,
        *,
        endpoint_id: str,
        address: str,
        secret: bytes,
        uniform: Callable[[], float],
        counts_every_s: float = COUNTS_EVERY_S,
        tls: ssl.SSLContext | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        host, _, port = address.rpartition(":")
        self.endpoint_id, self.address = endpoint_id, address
        self._host, self._port = host.strip("[]"), int(port)
        self._secret = secret
        self._tls = tls
        self._uniform = uniform
        self._now = now
        self._counts_every_s = counts_every_s
        self._transport: asyncio.WriteTransport | None = None
        self._task: asyncio.Task[None] | None = None
        self.facts = DraftFacts()
        self.problem = "not connected yet"
        self.counts: dict[str, int] = {}
        self._unanswered = 0
        self._asked_at = 0.0
        self._round_trips: deque[float] = deque(maxlen=ROUND_TRIPS)

    @property
    def connected(self) -> bool:
        return self._transport is not None

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_up())

    def close(self) -> None:
        """Drafts are refused from now on."""
        if self._task is not None:
            self._task.cancel()

    async def stop(self) -> None:
        """Close, and wait until it is."""
        self.close()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def put(self, session: str, runs: Sequence[DraftRun]) -> bool:
        """Leave drafts; False when that is not possible now."""
        transport = self._transport
        if transport is None or transport.get_write_buffer_size() > MAX_BUFFER:
            return False
        transport.write(b"".join(wire.framed((session, *run)) for run in runs))
        return True

    async def _keep_up(self) -> None:
        failures = 0
        while True:
            try:
                # Not wait_for(): before Python 3.12 it can swallow that it was cancelled.
                async with asyncio.timeout(HANDSHAKE_S):
                    reader, writer = await asyncio.open_connection(
                        self._host, self._port, ssl=self._tls
                    )
                try:
                    async with asyncio.timeout(HANDSHAKE_S):
                        await self._greet(reader, writer)
                    failures = 0
                    await self._listen(reader, writer)
                finally:
                    self._transport, self.facts = None, DraftFacts()
                    # Not close(): what still waits here for a dead engine would keep it open.
                    writer.transport.abort()
            except Exception as error:
                # Whatever it was: the answers go on, and so must the tries.
                self._lost(error)
            failures += 1
            await asyncio.sleep(
                pause_s(failures, self._uniform(), first_s=FIRST_PAUSE_S, longest_s=LONGEST_PAUSE_S)
            )

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonce = await reader.readexactly(wire.NONCE_BYTES)
        self._ask(writer, wire.proof(self._secret, nonce))
        try:
            greeting = wire.read_greeting(await _message(reader))
        except EOFError as error:
            raise MailboxRefused("it closed at the handshake: is the secret right?") from error
        if greeting.version != wire.VERSION:
            raise MailboxRefused(f"it speaks version {greeting.version}; this is {wire.VERSION}")
        self.facts = DraftFacts(greeting.per_step, greeting.vocabulary)
        self._round_trips.clear()
        self._measure()
        self._transport, self.problem = writer.transport, ""
        log.info("mailbox_up", mailbox=self.address, endpoint=self.endpoint_id)

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Ask for the counts now and then, until the connection ends.

        Raises TimeoutError when several questions in a row got no answer.
        """
        # What an earlier connection left unanswered is not this one's.
        self._unanswered = 0
        reading = asyncio.create_task(self._read_counts(reader))
        try:
            while self._unanswered < MAX_UNANSWERED:
                self._ask(writer, wire.framed_bytes(wire.COUNTS_QUESTION))
                self._unanswered += 1
                await asyncio.wait({reading}, timeout=self._counts_every_s)
                if reading.done():
                    return reading.result()
            raise TimeoutError
        finally:
            reading.cancel()

    async def _read_counts(self, reader: asyncio.StreamReader) -> None:
        while True:
            self.counts = wire.read_counts(await _message(reader))
            if self._unanswered == 1:  # Else it is not told which question this answers.
                self._measure()
            self._unanswered = 0

    def _ask(self, writer: asyncio.StreamWriter, question: bytes) -> None:
        writer.write(question)
        self._asked_at = self._now()

    def _measure(self) -> None:
        """The answer to what was asked last is there."""
        self._round_trips.append(self._now() - self._asked_at)
        self.facts = replace(self.facts, round_trip_s=min(self._round_trips))

    def _lost(self, error: Exception) -> None:
        known = {TimeoutError: "no answer in time", asyncio.IncompleteReadError: "it hung up"}
        what = str(error) if isinstance(error, MailboxRefused) else known.get(type(error))
        if isinstance(error, ssl.SSLError):
            what = f"TLS: {getattr(error, 'verify_message', None) or error.reason}"
        problem = what or type(error).__name__
        if problem != self.problem:
            log.warning(
                "mailbox_lost", mailbox=self.address, endpoint=self.endpoint_id, problem=problem
            )
        self.problem = problem


async def _message(reader: asyncio.StreamReader) -> bytes:
    size = int.from_bytes(await reader.readexactly(wire.LENGTH_BYTES), "big")
    if not 0 < size <= wire.MAX_REPLY_BYTES:
        raise MailboxRefused(
            f"it announced a message of {size} bytes, where a mailbox sends 1 to "
            f"{wire.MAX_REPLY_BYTES}; check that the address in `mailboxes` is a mailbox's"
        )
    return await reader.readexactly(size)
