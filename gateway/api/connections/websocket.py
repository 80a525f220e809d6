"""A device's WebSocket: uvicorn's, which gives its place among the connections back."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.protocol import OPEN

from gateway.api.connections.bounds import Connections

INVALID_TEXT = 1007


class WebSocketConnection(WebSocketsSansIOProtocol):
    """A WebSocket from its handshake to its end. `entered` is the address whose place it has."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        room: Connections,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._room = room
        self.entered: str | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.entered is not None:
            self._room.leave(self.entered)
            self.entered = None

    def send_receive_event_to_app(self) -> None:
        """A text that is no UTF-8 is the peer's mistake, and no error to log."""
        if self.curr_msg_data_type == "text":
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.frames = []
                # Several may have come at once: the first has ended the connection.
                if self.conn.state is OPEN:
                    self.conn.send_close(INVALID_TEXT)
                    self.handle_parser_exception()
                return
        super().send_receive_event_to_app()
