"""What each command does."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from gateway.admin.api import Api
from gateway.admin.arguments import admin_token
from gateway.admin.rendering import card, table

PAGE = 200
PARTIAL = "The gateway's shared state is lost: some enrolled devices are missing here."


def run(arguments: argparse.Namespace) -> None:
    """Raises BadInput and Refused."""
    api = Api(arguments.url, admin_token(arguments.token_file))
    answer, text = _COMMANDS[arguments.command](api, arguments)
    print(json.dumps(answer, indent=2) if arguments.json else text)


def _enrol(api: Api, arguments: argparse.Namespace) -> tuple[Mapping[str, Any], str]:
    wish: dict[str, Any] = {"ttl_s": arguments.ttl_s}
    for field in ("name", "owner", "privacy"):
        if (value := getattr(arguments, field)) is not None:
            wish[field] = value
    answer = api.call("POST", "/v1/admin/enrolments", json=wish)
    return answer, str(answer["enrolment_token"])


def _list(api: Api, arguments: argparse.Namespace) -> tuple[Mapping[str, Any], str]:
    devices: list[dict[str, Any]] = []
    more, partial = True, False
    while more:
        query = {"limit": PAGE, "after": devices[-1]["id"] if devices else ""}
        page = api.call("GET", "/v1/devices", params=query)
        devices += page["data"]
        more, partial = (
            bool(page["has_more"] and page["data"]),
            partial or bool(page.get("partial")),
        )
    answer = {"object": "list", "data": devices, "has_more": False, "partial": partial}
    return answer, "\n".join([table(devices), *([PARTIAL] if partial else [])])


def _show(api: Api, arguments: argparse.Namespace) -> tuple[Mapping[str, Any], str]:
    answer = api.call("GET", f"/v1/devices/{quote(arguments.name, safe='')}")
    return answer, card(answer)


def _revoke(api: Api, arguments: argparse.Namespace) -> tuple[Mapping[str, Any], str]:
    answer = api.call("DELETE", f"/v1/devices/{quote(arguments.name, safe='')}")
    return answer, f"{answer['id']} is revoked"


_COMMANDS = {"enrol": _enrol, "list": _list, "show": _show, "revoke": _revoke}
