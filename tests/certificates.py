"""Certificates for tests, made by openssl: an authority, and what it issues for loopback."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl makes the certificates"
)
_NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


@dataclass(frozen=True)
class Issued:
    """A certificate and its key, by their paths."""

    certificate: str
    key: str


@dataclass(frozen=True)
class Authority:
    """Issues certificates into `folder`; `ca` is the path of its own."""

    folder: Path
    ca: str

    def issue(self, name: str, days: int = 90) -> Issued:
        """For localhost and 127.0.0.1, as a server's or a client's."""
        issued = Issued(str(self.folder / f"{name}.pem"), str(self.folder / f"{name}.key"))
        command = ["openssl", "req", "-x509", *_NEW_KEY, "-days", str(days), "-subj", f"/CN={name}"]
        command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        command += ["-addext", "basicConstraints=critical,CA:FALSE"]
        command += ["-CA", self.ca, "-CAkey", f"{self.ca}.key"]
        command += ["-out", issued.certificate, "-keyout", issued.key]
        subprocess.run(command, check=True, capture_output=True)
        return issued

    def client(self, shows: Issued | None = None) -> ssl.SSLContext:
        """Of a client that trusts it."""
        context = ssl.create_default_context(cafile=self.ca)
        if shows is not None:
            context.load_cert_chain(shows.certificate, shows.key)
        return context

    def server(self, shows: Issued, *, asks_for_certificates: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(shows.certificate, shows.key)
        if asks_for_certificates:
            context.load_verify_locations(self.ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def authority(folder: Path, name: str = "ca") -> Authority:
    ca = str(folder / f"{name}.pem")
    command = ["openssl", "req", "-x509", *_NEW_KEY, "-days", "90", "-subj", f"/CN={name}"]
    command += ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    command += ["-out", ca, "-keyout", f"{ca}.key"]
    subprocess.run(command, check=True, capture_output=True)
    return Authority(folder, ca)
