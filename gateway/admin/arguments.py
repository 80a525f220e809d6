"""What the commands take."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from gateway.admin.problems import BadInput

TOKEN_VARIABLE = "TIERFLOW_ADMIN_TOKEN"
DEFAULT_URL = "http://127.0.0.1:8080"
CLASSES = ("public", "owner", "private")
TIERS = ("device", "edge", "cloud")
WAYS = ("plain", "cascade", "collective")


class _Parser(argparse.ArgumentParser):
    """One line instead of the usage."""

    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message}; see {self.prog} --help")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Raises BadInput."""
    parser = _Parser(prog="python -m gateway.admin", description="Administer a gateway.")
    add_commands(parser)
    return parser.parse_args(arguments)


def add_commands(
    parser: argparse.ArgumentParser, *, url: str = DEFAULT_URL, token: str = TOKEN_VARIABLE
) -> None:
    """What a parser takes for it. `url` is what stands in where none is given; `token` says where
    the admin token is then taken from."""
    what = parser.add_subparsers(dest="what", required=True, metavar="{devices,keys}")
    reach = _Reach(url, token)
    _devices(what.add_parser("devices", help="enrol, list, show and revoke devices"), reach)
    _keys(what.add_parser("keys", help="make, list, show, rotate and revoke callers' keys"), reach)


@dataclass(frozen=True)
class _Reach:
    """How the gateway is reached where the command line does not say."""

    url: str
    token: str

    def add_arguments(self, *commands: argparse.ArgumentParser) -> None:
        for each in commands:
            each.add_argument(
                "--url", default=self.url, help="of the gateway; default: %(default)s"
            )
            each.add_argument(
                "--token-file",
                type=Path,
                help=f"holds the admin token; default: {self.token}",
            )
            each.add_argument(
                "--ca",
                type=Path,
                help="certificate of the authority that vouches for the gateway's, PEM; default: "
                "the system's",
            )
            each.add_argument(
                "--server-name",
                help="the name in the gateway's certificate; default: the URL's host",
            )
            each.add_argument("--json", action="store_true", help="the API's own answer")


def _devices(devices: argparse.ArgumentParser, reach: _Reach) -> None:
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
    reach.add_arguments(enrol, listing, show, revoke)


def _keys(keys: argparse.ArgumentParser, reach: _Reach) -> None:
    command = keys.add_subparsers(dest="command", required=True)
    make = command.add_parser("make", help="make a key, which is shown once")
    for option, choices, text in (
        ("--model", None, "a model that it may ask for"),
        ("--tier", TIERS, "a tier that may answer it"),
        ("--way", WAYS, "a way of answering"),
        ("--privacy", CLASSES, "a privacy class of its requests"),
    ):
        help = f"{text}; may be repeated; default: all"
        make.add_argument(option, action="append", choices=choices, help=help)
    for option, text in (
        ("--requests-per-min", "requests in a minute"),
        ("--tokens-per-min", "tokens of prompts and answers in a minute"),
        ("--tokens-per-day", "tokens of prompts and answers in a day"),
        ("--in-flight", "requests at once"),
        ("--fan-out", "requests to engines that one request may cause"),
    ):
        make.add_argument(option, type=int, help=f"{text}; default: without a limit")
    make.add_argument("--expires-in-s", type=float, help="default: good until it is revoked")
    listing = command.add_parser("list", help="all keys")
    show = command.add_parser("show", help="one key")
    rotate = command.add_parser("rotate", help="give a key another secret, which is shown once")
    rotate.add_argument(
        "--grace-s", type=float, default=86_400.0, help="for how long the one before stays good"
    )
    revoke = command.add_parser("revoke", help="end a key")
    for each in (make, show, rotate, revoke):
        each.add_argument("name")
    reach.add_arguments(make, listing, show, rotate, revoke)


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
