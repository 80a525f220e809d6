"""docs/clients.md says which clients the suite asks by, and what it lets differ."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.clients import page
from tests.servers import CHECKOUT


@pytest.mark.parametrize("part", [page.clients_table, page.without_list, page.differences_table])
def test_a_part_of_the_page_is_what_the_suite_has(part: Callable[[], str]) -> None:
    assert part() in (CHECKOUT / "docs/clients.md").read_text()
