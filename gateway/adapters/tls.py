"""TLS from PEM files, which may be replaced while the gateway runs.

Whoever makes connections keeps one context for good; each handshake is done by the files as they
were read last. What is connected stays connected.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import structlog

from gateway.core.certificates import not_after
from gateway.errors import ConfigError

LOOK_S = 2.0
"""The time between two looks at the files."""
MAX_FILE_BYTES = 1 << 20
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)

log = structlog.get_logger("tierflow.tls")


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """The PEM files of one end of connections. `setting` is the group that names them; a server's
    `ca` is that of its clients, which then must show a certificate."""

    setting: str
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    check_hostname: bool = True
    server: bool = False

    def named(self) -> Iterator[tuple[str, str]]:
        """Each file, after the setting that names it."""
        authority = "client_ca" if self.server else "ca"
        for name, path in (
            (authority, self.ca),
            ("certificate", self.certificate),
            ("key", self.key),
        ):
            if path is not None:
                yield f"{self.setting}.{name}", path


class LiveContext(ssl.SSLContext):
    """A TLS context that leaves each handshake to `current`, which may be replaced."""

    current: ssl.SSLContext

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        return self.current.wrap_bio(*arguments, **options)

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        return self.current.wrap_socket(*arguments, **options)


class LiveTls:
    """TLS by files that may be replaced. `context` is for whoever makes connections; `problem` says
    why the files as they are now can't be used, while those before still are; `ends` is when the
    first of its own certificates ends, in Unix time. Raises ConfigError for files that can't be
    used from the start."""

    def __init__(self, files: TlsFiles) -> None:
        self.files = files
        self.problem = ""
        self.ends: float | None = None
        protocol = ssl.PROTOCOL_TLS_SERVER if files.server else ssl.PROTOCOL_TLS_CLIENT
        self.context = LiveContext(protocol)
        self._digest = b""
        try:
            self._load()
        except ValueError as error:
            raise ConfigError(str(error)) from error

    def look(self) -> None:
        """Use the files anew where they have changed."""
        before, had = self._digest, self.problem
        try:
            self._load()
        except ValueError as error:
            self.problem = str(error)
            if self.problem != had:
                log.warning("tls_files_unusable", setting=self.files.setting, problem=self.problem)
            return
        self.problem = ""
        if self._digest != before:
            log.info("tls_files_loaded", setting=self.files.setting)

    def _load(self) -> None:
        """Raises ValueError that names the setting."""
        contents = {name: _read(name, path) for name, path in self.files.named()}
        digest = sha256(b"\0".join(contents.values())).digest()
        if digest == self._digest:
            return
        self.context.current = _context(self.files)
        self.ends = _first_end(contents, f"{self.files.setting}.certificate")
        # As it was before the files were read again by OpenSSL: a change in between shows next.
        self._digest = digest


class TlsWatch:
    """The look at the files of every `LiveTls`, again and again while `run` runs."""

    def __init__(self, watched: Sequence[LiveTls]) -> None:
        self.watched = watched

    async def run(self) -> None:
        while self.watched:
            await asyncio.sleep(LOOK_S)
            for each in self.watched:
                await asyncio.to_thread(each.look)

    def remaining(self) -> Mapping[str, float]:
        """Seconds until the first of its own certificates ends, by the setting that names it."""
        now = time.time()
        return {
            f"{each.files.setting}.certificate": each.ends - now
            for each in self.watched
            if each.ends is not None
        }

    def problems(self) -> list[str]:
        """Of files that can't be used as they are now."""
        return [each.problem for each in self.watched if each.problem]


def _read(name: str, path: str) -> bytes:
    """Raises ValueError."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{name}: {path}: {error.strerror}") from error
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"{name}: {path}: more than {MAX_FILE_BYTES} bytes; give a PEM file")
    return content


def _context(files: TlsFiles) -> ssl.SSLContext:
    """Raises ValueError."""
    if files.server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])
        if files.ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = files.check_hostname
        if files.ca is None:
            context.load_default_certs()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    authority = "client_ca" if files.server else "ca"
    if files.ca is not None:
        try:
            context.load_verify_locations(files.ca)
        except (ssl.SSLError, OSError) as error:
            raise ValueError(
                f"{files.setting}.{authority}: {files.ca} has no certificates in PEM"
            ) from error
    if files.certificate is not None:
        try:
            # Without a password OpenSSL would ask the terminal for the one of an encrypted key.
            context.load_cert_chain(files.certificate, files.key, password=lambda: b"")
        except (ssl.SSLError, OSError) as error:
            raise ValueError(_unusable_pair(files, error)) from error
    return context


def _unusable_pair(files: TlsFiles, error: OSError) -> str:
    names = f"{files.setting}.certificate, {files.setting}.key"
    if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
        return f"{names}: {files.key} is not the key of {files.certificate}"
    return f"{names}: {files.certificate} and {files.key} are not a certificate and its key in PEM"


def _first_end(contents: Mapping[str, bytes], name: str) -> float | None:
    """When the first of the certificates in the file ends."""
    ends = []
    for block in _PEM.findall(contents.get(name, b"")):
        try:
            ends.append(not_after(ssl.PEM_cert_to_DER_cert(block.decode("ascii"))))
        except ValueError:
            continue
    return min(ends, default=None)
