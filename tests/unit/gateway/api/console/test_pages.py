"""The console's page and its files: all that it loads is here, and nothing of it runs inline."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

import pytest

from gateway.api.console.pages import HEADERS, KINDS
from tests.unit.gateway.api.served import ALONE, APART, SHARED, served

pytestmark = pytest.mark.anyio
FILES = resources.files("gateway.api.console").joinpath("files")


@pytest.mark.parametrize(
    ("listeners", "operations"), [(ALONE, False), (APART, True), (SHARED, False)]
)
async def test_the_page_loads_only_files_that_this_address_has(
    listeners: Mapping[str, Any], operations: bool
) -> None:
    async with served(listeners, operations=operations) as http:
        page = await http.get("/")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.headers["content-security-policy"] == HEADERS["content-security-policy"]
        loaded = set(re.findall(r'(?:src|href)="(console/[^"]+)"', page.text))
        assert {"console/console.js", "console/console.css"} <= loaded
        for path in loaded:
            assert (await http.get("/" + path)).status_code == 200
        imported = {
            name
            for file in KINDS
            for name in re.findall(r'from "\./([^"]+)"', FILES.joinpath(file).read_text())
        }
        for name in imported:
            file = await http.get(f"/console/{name}")
            assert file.headers["content-type"].startswith("text/javascript")
        assert imported | {path.removeprefix("console/") for path in loaded} == KINDS.keys()


def test_nothing_is_inline_and_nothing_comes_from_elsewhere() -> None:
    page = FILES.joinpath("index.html").read_text()
    assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|style=", page)
    for file in FILES.iterdir():
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, file.name
        assert "innerHTML" not in text and "eval(" not in text, file.name


def test_every_file_is_served() -> None:
    assert {file.name for file in FILES.iterdir()} == {*KINDS, "index.html"}


async def test_an_address_for_callers_alone_has_no_console() -> None:
    async with served(APART) as http:
        assert (await http.get("/console/console.js")).status_code == 404
        assert "console" not in (await http.get("/")).text
