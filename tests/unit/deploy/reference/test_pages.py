"""The generated pages of docs/ say what the code says."""

from __future__ import annotations

import pytest

from deploy.reference import PAGES
from deploy.reference.__main__ import DOCS


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    written = (DOCS / name).read_text()
    assert written == PAGES[name](), f"docs/{name} is out of date; run `make docs`"
