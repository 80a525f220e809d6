"""Callers' keys in a file, which operators may edit while the gateway runs."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from gateway.adapters.files.replacement import replace_file
from gateway.core.access.key import ApiKey
from gateway.core.access.stored_keys import KeysProblem, StoredKeys
from gateway.protocol.configuration.strict_yaml import RepeatedKeys, read_yaml, yaml_problem

MAX_BYTES = 8 * 1024 * 1024
ABSENT = ""
HEAD = "# Callers' keys: docs/keys.md. The gateway reads this file again when it changes.\n"


@dataclass(frozen=True, slots=True)
class KeyFileContent:
    """What the file holds. Each change through the gateway counts the version up."""

    keys: tuple[ApiKey, ...] = ()
    version: int = 1


class KeyFile:
    """The keys in a YAML file; one that is not there has none. It is parsed only when it has
    changed, and never blocks the event loop. The mark of what was read is its SHA-256."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._read = StoredKeys(), ABSENT

    async def read(self) -> tuple[StoredKeys, Any]:
        """Raises KeysProblem."""
        return await asyncio.to_thread(self._look)

    async def write(self, keys: StoredKeys, mark: Any) -> bool:
        """Raises KeysProblem."""
        return await asyncio.to_thread(self._replace, keys, mark)

    def _look(self) -> tuple[StoredKeys, str]:
        try:
            found = self._path.stat()
            seen = found.st_mtime_ns, found.st_size, found.st_ino
            if seen == self._seen:
                return self._read
            if found.st_size > MAX_BYTES:
                raise KeysProblem(f"keys.file: {self._path} has more than {MAX_BYTES} bytes")
            data = self._path.read_bytes()
        except FileNotFoundError:
            self._seen, self._read = None, (StoredKeys(), ABSENT)
            return self._read
        except OSError as error:
            raise KeysProblem(f"keys.file: {self._path}: {error.strerror}") from error
        self._read = self._parsed(data), hashlib.sha256(data).hexdigest()
        self._seen = seen
        return self._read

    def _parsed(self, data: bytes) -> StoredKeys:
        """Raises KeysProblem, which shows nothing of the file."""
        try:
            loaded = read_yaml(data)
            content = msgspec.convert(
                {} if loaded is None else loaded, type=KeyFileContent, strict=False
            )
        except RepeatedKeys as error:
            raise KeysProblem(
                f"keys.file: {self._path}: line {error.keys[0].line} repeats the name of line "
                f"{error.keys[0].first_line} in the same map; keep one"
            ) from error
        except yaml.YAMLError as error:
            problem = yaml_problem(error)
            raise KeysProblem(f"keys.file: {self._path} is not valid YAML: {problem}") from error
        except msgspec.ValidationError as error:
            raise KeysProblem(f"keys.file: {self._path}: {error}") from error
        except (ValueError, RecursionError) as error:
            # No UTF-8, a date or number that is none, or lists without end.
            raise KeysProblem(f"keys.file: {self._path} is not valid YAML") from error
        names = [key.name for key in content.keys]
        if twice := {name for name in names if names.count(name) > 1}:
            raise KeysProblem(f"keys.file: {self._path}: two keys named {min(twice)}")
        return StoredKeys(content.version, content.keys)

    def _replace(self, keys: StoredKeys, mark: str) -> bool:
        self._look()
        if self._read[1] != mark:
            return False
        content = msgspec.to_builtins(KeyFileContent(keys.keys, keys.version), order="sorted")
        text = HEAD + yaml.safe_dump(content, sort_keys=False)
        try:
            replace_file(self._path, text)
        except OSError as error:
            raise KeysProblem(f"keys.file: {self._path}: {error.strerror}") from error
        return True
