"""Which module here plays an example: as a part of its page, or apart."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tests.documents.blocks import Example, examples
from tests.documents.runs import LONG, QUICK, STORY, run_by

MEASUREMENTS = "test_measurements.py"
OWN_MODELS = "test_own_models.py"
RELIABILITY = "test_reliability.py"
PAGES = "test_pages.py"


def played_in(example: Example) -> str:
    """The module. Empty: none of them."""
    if run_by(example) not in (QUICK, LONG):
        return ""
    if re.search(r"^QUICK=1 make|^make load|model_family evaluate", example.text):
        return MEASUREMENTS
    if re.search("Qwen|~/models", example.text):
        return OWN_MODELS
    return RELIABILITY if example.page == STORY else PAGES


def played(module: str) -> Sequence[Example]:
    return [example for example in examples() if played_in(example) == module]


def by_page() -> Mapping[str, Sequence[Example]]:
    """What is played page by page, in the page's order; what ends something comes last, and
    so does what needs what the page tells further down."""
    pages: dict[str, list[Example]] = {}
    for example in played(PAGES):
        pages.setdefault(example.page, []).append(example)
    return {page: sorted(found, key=_comes_last) for page, found in pages.items()}


def _comes_last(example: Example) -> bool:
    return re.search("-X DELETE|^tierflow device --gateway", example.text) is not None
