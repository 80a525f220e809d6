"""The gateway's end of an engine's mailbox, for drafts of emulated devices."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gateway.protocol import mailbox as wire
from loadtest.measure.command import BenchmarkFailure

HANDSHAKE_S = 10.0


class MailboxLink:
    """A connection to the mailbox at HOST:PORT. `vocabulary` and `per_step` are the engine's."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, greeting: bytes
    ) -> None:
        self._reader, self._writer = reader, writer
        facts = wire.read_greeting(greeting)
        self.vocabulary, self.per_step = facts.vocabulary, facts.per_step

    @classmethod
    async def open(cls, address: str, secret: str) -> MailboxLink:
        """Raises BenchmarkFailure."""
        host, _, port = address.rpartition(":")
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                reader, writer = await asyncio.open_connection(host, int(port))
                nonce = await reader.readexactly(wire.NONCE_BYTES)
                writer.write(wire.proof(secret.encode(), nonce))
                return cls(reader, writer, await _message(reader))
        except (OSError, EOFError, TimeoutError) as failure:
            raise BenchmarkFailure(f"the mailbox at {address} does not answer") from failure

    def put(
        self, session: str, position: int, tokens: Sequence[int], before: Sequence[int]
    ) -> None:
        self._writer.write(wire.framed((session, position, tokens, before)))

    async def counts(self) -> dict[str, int]:
        """What the engine has counted so far."""
        self._writer.write(wire.framed_bytes(wire.COUNTS_QUESTION))
        return wire.read_counts(await _message(self._reader))

    def close(self) -> None:
        self._writer.transport.abort()


async def _message(reader: asyncio.StreamReader) -> bytes:
    size = int.from_bytes(await reader.readexactly(wire.LENGTH_BYTES), "big")
    return await reader.readexactly(size)
