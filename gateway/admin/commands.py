"""What each command does."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from gateway.admin.api import Api
from gateway.admin.arguments import admin_token
from gateway.admin.rendering import card, key_table, table

PAGE = 200
KEYS = "/v1/admin/keys"
KEY_FIELDS: Mapping[str, str] = {
    "models": "model",
    "tiers": "tier",
    "ways": "way",
    "privacy": "privacy",
    "requests_per_min": "requests_per_min",
    "tokens_per_min": "tokens_per_min",
    "tokens_per_day": "tokens_per_day",
    "in_flight": "in_flight",
    "fan_out": "fan_out",
    "expires_in_s": "expires_in_s",
}
"""What a key is made with, by the API's field: the command's own name for it."""
PARTIAL = "The gateway's shared state is lost: some enrolled devices are missing here."


def run(arguments: argparse.Namespace) -> None:
    """Raises BadInput and Refused."""
    api = Api(
        url=arguments.url,
        token=admin_token(arguments.token_file),
        ca=arguments.ca,
        server_name=arguments.server_name,
    )
    answer, text = _COMMANDS[arguments.what, arguments.command](api, arguments)
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


def _make_key(api: Api, arguments: argparse.Namespace) -> tuple[Mapping[str, Any], str]:
    wish: dict[str, Any] = {"name": arguments.name}
    for field, option in KEY_FIELDS.items():
        if (value := getattr(arguments, option)) is not None:
            wish[field] = value
    answer = api.call("POST", KEYS, json=wish)
    return answer, str(answer["key"])


def _list_keys(api: Api, arguments: argparse.Namespace) -> tuple[Mapping[str, Any], str]:
    keys: list[dict[str, Any]] = []
    more = True
    while more:
        query = {"limit": PAGE, "after": keys[-1]["name"] if keys else ""}
        page = api.call("GET", KEYS, params=query)
        keys += page["data"]
        more = bool(page["has_more"] and page["data"])
    return {"object": "list", "data": keys, "has_more": False}, key_table(keys)


def _show_key(api: Api, arguments: argparse.Namespace) -> tuple[Mapping[str, Any], str]:
    answer = api.call("GET", _key_path(arguments))
    return answer, card(answer)


def _rotate_key(api: Api, arguments: argparse.Namespace) -> tuple[Mapping[str, Any], str]:
    path = f"{_key_path(arguments)}/rotation"
    answer = api.call("POST", path, json={"grace_s": arguments.grace_s})
    return answer, str(answer["key"])


def _revoke_key(api: Api, arguments: argparse.Namespace) -> tuple[Mapping[str, Any], str]:
    answer = api.call("DELETE", _key_path(arguments))
    return answer, f"{answer['name']} is revoked"


def _key_path(arguments: argparse.Namespace) -> str:
    return f"{KEYS}/{quote(arguments.name, safe='')}"


_COMMANDS = {
    ("devices", "enrol"): _enrol,
    ("devices", "list"): _list,
    ("devices", "show"): _show,
    ("devices", "revoke"): _revoke,
    ("keys", "make"): _make_key,
    ("keys", "list"): _list_keys,
    ("keys", "show"): _show_key,
    ("keys", "rotate"): _rotate_key,
    ("keys", "revoke"): _revoke_key,
}
