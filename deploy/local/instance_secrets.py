"""The secrets that the parts of an instance share: made once, kept in its folder."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

DEVICE_TOKEN = "device.token"
ADMIN_TOKEN = "admin.token"
MAILBOX_SECRET = "mailbox.secret"


LOCAL = "local"
"""The name of the device that `device_token` lets in: the one that the user starts."""


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """The secrets of one instance.

    `device_token` lets the user's device in at the gateway, `mailbox` the gateway at the engines,
    and `admin_token` operators at the gateway. `devices` holds the tokens of the devices that are
    started here, by name.
    """

    device_token: str
    mailbox: str
    admin_token: str
    devices: Mapping[str, str]

    @property
    def token_hashes(self) -> dict[str, str]:
        """SHA-256 of every device's token, in hex, by the device's name."""
        tokens = {LOCAL: self.device_token, **self.devices}
        return {name: digest(token) for name, token in tokens.items()}


def instance_secrets(folder: Path, devices: Iterable[str] = ()) -> Secrets:
    """The instance's secrets; missing ones are made. Only the owner can read the files.

    `devices` are the names of devices that get tokens of their own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return Secrets(
        device_token=_stored_secret(folder / DEVICE_TOKEN),
        mailbox=_stored_secret(folder / MAILBOX_SECRET),
        admin_token=_stored_secret(folder / ADMIN_TOKEN),
        devices={name: _stored_secret(device_token_file(folder, name)) for name in devices},
    )


def digest(token: str) -> str:
    """The token's SHA-256 in hex, which is all that the gateway needs to know."""
    return hashlib.sha256(token.encode()).hexdigest()


def device_token_file(folder: Path, name: str) -> Path:
    return folder / f"device-{name}.token"


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read, from the first byte on."""
    new = file.with_suffix(file.suffix + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as output:
        output.write(text)
    new.replace(file)


def _stored_secret(file: Path) -> str:
    if not file.is_file() or not file.read_text().strip():
        write_private(file, secrets.token_hex(32) + "\n")
    return file.read_text().strip()
