"""What keys have used of their day, in a file beside the keys'."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import msgspec

from gateway.adapters.files.replacement import replace_file
from gateway.core.access.stored_keys import KeysProblem
from gateway.protocol.device_link.decoding import UNREADABLE

SUFFIX = ".day-use.json"
MAX_BYTES = 4 * 1024 * 1024
Used = dict[str, tuple[float, float]]


class DayUseFile:
    """The use of a day, by the key's owner: tokens, and the Unix time at which they were used. A
    file that is not there says nothing."""

    def __init__(self, keys_file: Path) -> None:
        self._path = keys_file.with_name(keys_file.name + SUFFIX)

    async def load(self) -> Used:
        """Raises KeysProblem."""
        return await asyncio.to_thread(self._read)

    async def save(self, used: Mapping[str, tuple[float, float]]) -> None:
        """Raises KeysProblem."""
        text = msgspec.json.encode(dict(used)).decode()
        try:
            await asyncio.to_thread(replace_file, self._path, text)
        except OSError as error:
            raise KeysProblem(f"{self._path}: {error.strerror}") from error

    def _read(self) -> Used:
        try:
            if self._path.stat().st_size > MAX_BYTES:
                raise KeysProblem(f"{self._path} has more than {MAX_BYTES} bytes")
            return msgspec.json.decode(self._path.read_bytes(), type=Used)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise KeysProblem(f"{self._path}: {error.strerror}") from error
        except UNREADABLE as error:
            raise KeysProblem(f"{self._path} is not what a gateway keeps there") from error
