"""The bodies of requests on their way in: their bounds of size and of time."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping

from starlette.types import Receive

from gateway.api.client_disconnect import ClientGone
from gateway.core.bodies.body_outline import SMALL_BYTES, BodyOutline, OutlineLimits
from gateway.core.ports import Clock
from gateway.errors import BodyTooLarge, InvalidRequest
from gateway.serving.requests.body_room import HeldBody
from gateway.serving.requests.progress_timeout import ProgressTimeout


class BodyReader:
    """The reader of requests' bodies. `max_bytes` and `outline` bound what a caller may send,
    `body_s` (seconds) and `body_rate` (bytes per second) how slowly."""

    def __init__(
        self,
        *,
        clock: Clock,
        max_bytes: int,
        outline: OutlineLimits,
        body_s: float,
        body_rate: float,
    ) -> None:
        self._clock = clock
        self._max_bytes = max_bytes
        self._outline = outline
        self._body_s = body_s
        self._body_rate = body_rate

    async def read(
        self, headers: Mapping[str, str], receive: Receive, held: HeldBody, *, form: bool = False
    ) -> tuple[bytes, BodyOutline | None]:
        """The body, and its outline where it is large and no `form`. Raises InvalidRequest for one
        that comes too slowly, BodyTooLarge, what `HeldBody.check` does, and ClientGone."""
        with ProgressTimeout(self._clock.now) as timeout:
            timeout.expect(self._body_s, self._too_slow)
            return await self._read(headers, receive, held, timeout, outlined=not form)

    async def forget(self, receive: Receive) -> None:
        """Let a body come that nobody reads. Raises InvalidRequest for one that comes too slowly,
        and ClientGone."""
        with ProgressTimeout(self._clock.now) as timeout:
            timeout.expect(self._body_s, self._too_slow)
            size = 0
            while size <= self._max_bytes:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                size += len(message.get("body", b""))
                if not message.get("more_body"):
                    break

    async def _read(
        self,
        headers: Mapping[str, str],
        receive: Receive,
        held: HeldBody,
        timeout: ProgressTimeout,
        *,
        outlined: bool,
    ) -> tuple[bytes, BodyOutline | None]:
        """The body, and its outline where it is large; `timeout` moves with what comes. Raises
        BodyTooLarge, or what `HeldBody.check` does, but only once the caller has sent it all (or
        far too much): one that is cut off in the middle of sending would not see the answer."""
        limit, data, size = self._max_bytes, io.BytesIO(), 0
        outline: BodyOutline | None = None

        def forget() -> None:
            nonlocal data, outline
            data, outline = io.BytesIO(), None

        held.forget = forget
        declared = int(headers.get("content-length") or 0)
        latest = self._clock.now() + self._body_s
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            piece, more = message.get("body", b""), message.get("more_body")
            if not size and not more and len(piece) <= min(SMALL_BYTES, limit):
                held.grow(len(piece))
                held.check()
                return piece, None
            size += len(piece)
            timeout.extend(latest + size / self._body_rate)
            if max(size, declared) > limit or not held.grow(len(piece), more=bool(more)):
                forget()
            elif outline is None or not outline.problem:
                data.write(piece)
                if outline is None and outlined and data.tell() > SMALL_BYTES:
                    outline, piece = BodyOutline(self._outline), data.getvalue()
                if outline is not None:
                    outline.feed(piece)
                    if outline.problem:
                        data = io.BytesIO()
            if not more or size > 2 * limit:
                break
        if max(size, declared) > limit:
            raise BodyTooLarge(
                f"the body has {max(size, declared)} bytes; the limit is {limit} "
                "(limits.max_body_bytes)",
                code="body_too_large",
            )
        held.check()
        if outline is None:
            return data.getvalue(), None
        outline.end()
        # What a large body costs is paid in parts: others have their turn between them.
        await asyncio.sleep(0)
        # No copy: what was written is one object of bytes already.
        return data.getvalue(), outline

    def _too_slow(self) -> InvalidRequest:
        return InvalidRequest(
            f"the body did not arrive in {self._body_s:g} s, nor at {self._body_rate:g} bytes per "
            "second (timeouts.body_s, timeouts.body_bytes_per_s)",
            code="body_timeout",
        )
