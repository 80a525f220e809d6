"""TLS at the mailbox, by files that may be replaced while the engine runs."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Sequence
from pathlib import Path

LOOK_S = 2.0
"""The time for which the files are not looked at again."""

log = logging.getLogger("tierflow.race")


class MailboxTls:
    """The TLS of an engine's mailbox. `certificate` and `key` are PEM files, `client_ca` one of the
    authorities of clients' certificates. Raises ValueError for files that can't be used."""

    def __init__(self, *, certificate: Path, key: Path, client_ca: Path | None) -> None:
        self._certificate = certificate
        self._key = key
        self._client_ca = client_ca
        self._looked_at = 0.0
        self._warned = ""
        self._seen: Sequence[tuple[int, int]] = ()
        try:
            self._seen, self._context = self._stamps(), self._load()
        except OSError as failure:
            raise ValueError(self._problem(failure)) from failure

    def context(self, now: float) -> ssl.SSLContext:
        """By the files as they are, or were before they could no longer be used. `now` in
        seconds."""
        if now - self._looked_at >= LOOK_S:
            self._looked_at = now
            try:
                stamps = self._stamps()
                if stamps != self._seen:
                    self._seen = stamps
                    self._context = self._load()
            except OSError as failure:
                self._warn(self._problem(failure))
            else:
                self._warned = ""
        return self._context

    def _warn(self, problem: str) -> None:
        """Once for each problem."""
        if problem != self._warned:
            self._warned = problem
            log.warning("%s; those before stay in use", problem)

    def _stamps(self) -> Sequence[tuple[int, int]]:
        """What changes when a file is replaced, each."""
        files = (self._certificate, self._key, self._client_ca)
        found = [os.stat(file) for file in files if file is not None]
        return [(each.st_ino, each.st_mtime_ns) for each in found]

    def _load(self) -> ssl.SSLContext:
        """Raises OSError, as ssl.SSLError is one."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # Without a password OpenSSL would ask the terminal for that of an encrypted key.
        context.load_cert_chain(self._certificate, self._key, password=lambda: b"")
        if self._client_ca is not None:
            context.load_verify_locations(self._client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _problem(self, failure: OSError) -> str:
        reason = getattr(failure, "reason", None) or failure.strerror or "no PEM"
        return f"the files of the mailbox's TLS ({self._certificate}): {reason}"
