"""What is generated of the charts says what values.yaml and the settings say."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.charts import CHARTS, GENERATED, ROOT
from deploy.charts.values_table import values


@pytest.mark.parametrize("file", GENERATED, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_generated_file_is_up_to_date(file: Path) -> None:
    assert file.read_text() == GENERATED[file](), f"{file} is out of date; run `make docs`"


@pytest.mark.parametrize("chart", CHARTS)
def test_the_readme_names_every_value(chart: str) -> None:
    readme = (CHARTS[chart] / "README.md").read_text()
    named = values(CHARTS[chart] / "values.yaml")
    assert len(named) > 20
    for value in named:
        assert f"| `{value.path}` |" in readme


@pytest.mark.parametrize("chart", CHARTS)
def test_every_value_at_the_top_says_what_it_means(chart: str) -> None:
    named = values(CHARTS[chart] / "values.yaml")
    silent = [one.path for one in named if "." not in one.path and not one.meaning]
    assert silent == []


def test_comments_and_defaults_are_read_as_they_stand(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(
        "# What the file is for.\n\n"
        "# Outer, such as\n#   {a: 1}\n"
        "outer:\n  # Inner.\n  inner: {a: [1, 2]}\n  many:\n    - x\n    - y\nplain: null\n"
    )
    assert [(one.path, one.default, one.meaning) for one in values(file)] == [
        ("outer", "", "Outer, such as `{a: 1}`"),
        ("outer.inner", "{a: [1, 2]}", "Inner."),
        ("outer.many", '["x", "y"]', ""),
        ("plain", "null", ""),
    ]
