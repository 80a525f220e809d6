"""How the agent knows its gateway, where the gateway speaks TLS, and how it shows itself."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path


class TlsFilesUnusable(ValueError):
    """PEM files that TLS can't be spoken by; one line that says why."""


@dataclass(frozen=True, slots=True)
class GatewayTls:
    """The PEM files of TLS to the gateway: `ca` of authorities to trust in place of the system's,
    `certificate` and `key` for a gateway that asks for the device's."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """By the files as they are now. Raises TlsFilesUnusable."""
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.certificate is not None:
                # Without a password OpenSSL would ask the terminal for that of an encrypted key.
                context.load_cert_chain(self.certificate, self.key, password=lambda: b"")
        except (ssl.SSLError, OSError) as exc:
            reason = getattr(exc, "reason", None) or exc.strerror or "no PEM"
            raise TlsFilesUnusable(f"the files for TLS to the gateway: {reason}") from exc
        return context


BY_THE_SYSTEM = GatewayTls()
"""The system's authorities, and no certificate of the device's own."""
