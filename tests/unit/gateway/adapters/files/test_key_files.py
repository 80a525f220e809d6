"""A file of keys that can't be read is a problem in one line, which shows nothing of the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.adapters.files.keys import KeyFile
from gateway.core.access.stored_keys import KeysProblem

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "text",
    ["keys: " + "[" * 3000, "a: 2026-99-99", "version: " + "1" * 5000, "a: 0x_", "? [secret]\n: b"],
    ids=["nested", "no date", "a huge number", "no number", "no name"],
)
async def test_what_can_not_be_read_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys.yaml").write_text(text)
    with pytest.raises(KeysProblem, match="not valid YAML") as problem:
        await KeyFile(tmp_path / "keys.yaml").read()
    assert "\n" not in str(problem.value) and "secret" not in str(problem.value)
