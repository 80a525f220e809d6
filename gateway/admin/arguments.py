"""What the commands take."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from gateway.admin.problems import BadInput

TOKEN_VARIABLE = "TIERFLOW_ADMIN_TOKEN"
CLASSES = ("public", "owner", "private")


class _Parser(argparse.ArgumentParser):
    """One line instead of the usage."""

    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message}; see {self.prog} --help")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Raises BadInput."""
    parser = _Parser(prog="python -m gateway.admin", description="Administer a gateway.")
    what = parser.add_subparsers(dest="what", required=True)
    devices = what.add_parser("devices", help="enrol, list, show and revoke devices")
    command = devices.add_subparsers(dest="command", required=True)
    enrol = command.add_parser("enrol", help="mint a token that enrols one device, once")
    enrol.add_argument("--name", help="the device's name; default: the device may choose")
    enrol.add_argument("--owner", help="whose device it is")
    enrol.add_argument(
        "--privacy",
        action="append",
        choices=CLASSES,
        help="a class that it may register with; may be repeated; default: all",
    )
    enrol.add_argument("--ttl-s", type=float, default=900.0, help="until the token expires")
    listing = command.add_parser("list", help="all devices")
    show = command.add_parser("show", help="one device")
    revoke = command.add_parser("revoke", help="end an enrolled device's token")
    for each in (show, revoke):
        each.add_argument("name")
    for each in (enrol, listing, show, revoke):
        each.add_argument("--url", default="http://127.0.0.1:8080", help="of the gateway")
        each.add_argument(
            "--token-file", type=Path, help=f"holds the admin token; default: {TOKEN_VARIABLE}"
        )
        each.add_argument("--json", action="store_true", help="the API's own answer")
    return parser.parse_args(arguments)


def admin_token(file: Path | None) -> str:
    """Raises BadInput."""
    if file is None:
        token = os.environ.get(TOKEN_VARIABLE, "").strip()
        if not token:
            raise BadInput(f"no admin token: set {TOKEN_VARIABLE}, or give --token-file")
        return token
    try:
        token = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise BadInput(f"--token-file: {file}: {reason}") from error
    if not token:
        raise BadInput(f"--token-file: {file} is empty")
    return token
