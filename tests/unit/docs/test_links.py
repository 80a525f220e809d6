"""Every link between the pages leads to a heading that exists, every named file is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\((?!https?://|mailto:)([^)\s#]*)(?:#([^)\s]*))?\)")
PATH = re.compile(r"`((?:gateway|services|deploy|loadtest|tests|charts|k8s)/[\w./-]+)`")
MADE_LATER = {"deploy/compose/private"}
SOURCES = [
    path
    for place in ("charts", "deploy", ".ci", "Makefile", "pyproject.toml")
    for path in sorted([ROOT / place, *(ROOT / place).rglob("*")])
    if path.is_file() and path.suffix != ".pyc"
]
SOURCE_PATH = re.compile(
    r"(?<![\w./-])((?:gateway|services|deploy|loadtest|tests|charts|k8s)/[\w./-]+"
    r"\.(?:json|md|py|sh|toml|tpl|ya?ml))\b"
)
FENCE = re.compile(r"^```.*?^```", re.M | re.S)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for path, anchor in LINK.findall(FENCE.sub("", page.read_text())):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {path}"
        if anchor:
            assert anchor in anchors(target), f"{page.name}: {path}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_is_named_exists(page: Path) -> None:
    named = set(PATH.findall(page.read_text())) - MADE_LATER
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_every_file_that_charts_and_deployment_name_exists() -> None:
    named = {
        (str(source.relative_to(ROOT)), path)
        for source in SOURCES
        for path in SOURCE_PATH.findall(source.read_text(errors="replace"))
    }
    assert named, "no file was named: the test looks in the wrong place"
    assert [names for names in sorted(named) if not (ROOT / names[1]).exists()] == []
