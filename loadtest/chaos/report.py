"""The report: one HTML file that needs nothing else, with the timeline as a picture."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path

from loadtest.measure.results import Cell, Table, written

_STYLE = """
body { font: 14px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1200px; color: #24292f }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse; font-size: 13px }
th, td { padding: 3px 9px; border-bottom: 1px solid #d8dee4; text-align: right }
th:first-child, td:first-child { text-align: left }
.text td, .text th { text-align: left }
.good { color: #1a7f37 } .bad { color: #cf222e }
img { max-width: 100% } dt { font-weight: 600 }
"""


def write_report(
    path: Path,
    *,
    title: str,
    figures: Mapping[str, float | None],
    passed: bool,
    notes: Mapping[str, str],
    tables: Sequence[Table],
    picture: Path,
) -> Path:
    """`figures` are those of the final line. Where a table has no rows it is left out."""
    result = (
        '<p class="good">No answer was lost, duplicated or wrong.</p>'
        if passed
        else '<p class="bad">Answers were lost, duplicated or wrong.</p>'
    )
    image = base64.b64encode(picture.read_bytes()).decode()
    parts = [
        "<!doctype html>",
        f'<html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>',
        f"<style>{_STYLE}</style><h1>{html.escape(title)}</h1>",
        result,
        _html(_figures(figures)),
        '<h2>Timeline</h2><img alt="Faults, outcomes, times and memory over the seconds of the '
        f'run" src="data:image/png;base64,{image}">',
        *(f"<h2>{html.escape(table.title)}</h2>{_html(table)}" for table in tables if table.rows),
        "<h2>About this run</h2><dl>",
        *(f"<dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd>" for k, v in notes.items()),
        "</dl></html>",
    ]
    path.write_text("\n".join(parts) + "\n")
    return path


def _figures(figures: Mapping[str, float | None]) -> Table:
    row: list[Cell] = list(figures.values())
    return Table(name="figures", title="Figures", columns=list(figures), rows=[row])


def _html(table: Table) -> str:
    numbers = all(not isinstance(cell, str) for row in table.rows for cell in row[1:])
    head = "".join(f"<th>{html.escape(column)}</th>" for column in table.columns)
    rows = "".join(
        f"<tr>{''.join(f'<td>{html.escape(written(cell))}</td>' for cell in row)}</tr>"
        for row in table.rows
    )
    kind = "" if numbers else ' class="text"'
    return f"<table{kind}><tr>{head}</tr>{rows}</table>"
