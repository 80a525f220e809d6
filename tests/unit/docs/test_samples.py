"""What the pages show of output, and list of headers, is what the code prints and sends."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

from deploy.local.settings import read_settings
from gateway.core.routing import policies, routing

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text()


def test_the_readme_shows_what_make_up_starts_and_says() -> None:
    settings = read_settings({})
    devices = [device.name for device in settings.devices]
    parts = [*(engine.tier for engine in settings.engines), "gateway", *devices]
    assert f"starting {', '.join(parts)}; logs in ~/" in README
    assert f"tierflow is up: {settings.url}\n" in README
    assert f"devices: {', '.join(devices)}\n" in README


def test_every_reason_of_an_answer_is_documented() -> None:
    table = set(re.findall(r"^\| `([a-z-]+)` \|", _section("x-tierflow-reason"), re.M))
    assert table == reasons()


def _section(heading: str) -> str:
    """The rows of docs/gateway.md's table under this heading."""
    page = (ROOT / "docs/gateway.md").read_text()
    return page.split(f"| `{heading}` | meaning |", 1)[1].split("\n\n", 1)[0]


def reasons() -> set[str]:
    """Those that a tier policy gives, those for another choice than its first, and those of the
    models whose answers are composed."""
    return {"cascade", "collective"} | {
        text
        for module in (policies, routing)
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "Preference"
        or isinstance(node, ast.FunctionDef)
        and node.name == "_reason"
        for text in _texts(node)
    }


def _texts(node: ast.AST) -> set[str]:
    return {
        each.value
        for each in ast.walk(node)
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    }
