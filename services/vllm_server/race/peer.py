"""One connection to the mailbox: bytes in, messages out, and never a wait."""

from __future__ import annotations

import secrets
import socket
import ssl

from gateway.protocol import mailbox as wire

RECEIVE = 8192
"""Bytes that are read at a time: some hundred drafts, and less than a millisecond's work."""


class PeerGone(Exception):
    """The connection has ended, or has to."""


class Peer:
    """A connection of a client at `address`.

    `admitted` is for the owner to set, who checks the answer to `nonce`; until `deadline` it must
    have come.
    """

    def __init__(
        self,
        *,
        connection: socket.socket,
        deadline: float,
        address: str,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            connection = tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        self.connection = connection
        self.deadline = deadline
        self.address = address
        self.admitted = False
        self.greeted = False
        """Whether it has its nonce, which is sent once TLS, where it is spoken, is agreed on."""
        self.nonce = secrets.token_bytes(wire.NONCE_BYTES)
        self._buffer = bytearray()

    def greet(self) -> None:
        """Send the nonce, as soon as TLS is agreed on. Raises PeerGone."""
        if isinstance(self.connection, ssl.SSLSocket):
            try:
                self.connection.do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError as failure:
                raise PeerGone from failure
        self.send(self.nonce)
        self.greeted = True

    def receive(self) -> None:
        """Read what has come, up to RECEIVE bytes, and what of it TLS has already deciphered.
        Raises PeerGone."""
        try:
            piece = self.connection.recv(RECEIVE)
            if isinstance(self.connection, ssl.SSLSocket) and (rest := self.connection.pending()):
                # The selector sees the socket alone, and not what TLS holds.
                piece += self.connection.recv(rest)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError as failure:
            raise PeerGone from failure
        if not piece:
            raise PeerGone
        self._buffer += piece

    def send(self, message: bytes) -> None:
        """Raises PeerGone, also for a peer that does not read what it has asked for."""
        try:
            sent = self.connection.send(message)
        except OSError as failure:
            raise PeerGone from failure
        if sent < len(message):
            raise PeerGone

    def proof(self) -> bytes | None:
        """The answer to the nonce; None until all of it has come."""
        return self._cut(0, wire.PROOF_BYTES)

    def message(self) -> bytes | None:
        """The next message; None until all of it has come. Raises ValueError for its length."""
        if len(self._buffer) < wire.LENGTH_BYTES:
            return None
        size = int.from_bytes(self._buffer[: wire.LENGTH_BYTES], "big")
        if not 0 < size <= wire.MAX_MESSAGE_BYTES:
            raise ValueError(f"a message of {size} bytes")
        return self._cut(wire.LENGTH_BYTES, wire.LENGTH_BYTES + size)

    def _cut(self, begin: int, end: int) -> bytes | None:
        if len(self._buffer) < end:
            return None
        piece = bytes(self._buffer[begin:end])
        del self._buffer[:end]
        return piece
