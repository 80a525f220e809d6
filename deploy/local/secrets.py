"""What the parts of an instance know and nobody else: made once, kept in its folder."""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

DEVICE_TOKEN = "device.token"
MAILBOX_SECRET = "mailbox.secret"


@dataclass(frozen=True)
class Secrets:
    """`device_token` lets a device in at the gateway, `mailbox` the gateway at the engines."""

    device_token: str
    mailbox: str

    @property
    def device_token_sha256(self) -> str:
        return hashlib.sha256(self.device_token.encode()).hexdigest()


def instance_secrets(folder: Path) -> Secrets:
    """The instance's secrets; made where they are missing, readable by the owner only."""
    folder.mkdir(parents=True, exist_ok=True)
    return Secrets(_kept(folder / DEVICE_TOKEN), _kept(folder / MAILBOX_SECRET))


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read, from the first byte on."""
    new = file.with_suffix(file.suffix + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as output:
        output.write(text)
    new.replace(file)


def _kept(file: Path) -> str:
    if not file.is_file() or not file.read_text().strip():
        write_private(file, secrets.token_hex(32) + "\n")
    return file.read_text().strip()
