"""Tables as markdown and CSV, and the one JSON line that ends every benchmark."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from loadtest.measure.statistics import Spread

Cell: TypeAlias = Spread | float | int | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of results; `name` is part of its file's name.

    A row has as many cells as there are columns.
    """

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    def markdown(self) -> str:
        lines = [f"### {self.title}", "", _line(self.columns), _line(["---"] * len(self.columns))]
        lines += [_line([written(cell) for cell in row]) for row in self.rows]
        return "\n".join(lines)

    def csv_rows(self) -> list[list[str]]:
        """Spreads take three columns: the median, and the lowest and highest value."""
        spread = [any(isinstance(row[i], Spread) for row in self.rows) for i in self._indices]
        header: list[str] = []
        for column, three in zip(self.columns, spread, strict=True):
            header += [column, f"{column} low", f"{column} high"] if three else [column]
        rows = [header]
        for row in self.rows:
            cells: list[str] = []
            for cell, three in zip(row, spread, strict=True):
                cells += _plain(cell, three)
            rows.append(cells)
        return rows

    @property
    def _indices(self) -> range:
        return range(len(self.columns))


def written(cell: Cell) -> str:
    """For people: three significant digits, a spread as `median [low–high]`."""
    if cell is None:
        return ""
    if isinstance(cell, Spread):
        return f"{number(cell.median)} [{number(cell.low)}–{number(cell.high)}]"
    return cell if isinstance(cell, str) else number(cell)


def number(value: float) -> str:
    """Three significant digits, whole numbers in full."""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    digits = 2 if abs(value) >= 1 else 3
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.{digits}f}"


def write(folder: Path, name: str, tables: Sequence[Table], notes: Mapping[str, Any]) -> Path:
    """Write `name`.md, `name`.json and a CSV per table; gives the markdown file.

    `notes` (the machine, settings) are put before the tables and into the JSON.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for table in tables:
        with (folder / f"{name}-{table.name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows(table.csv_rows())
    described = "\n".join(f"- {key}: {value}" for key, value in notes.items())
    markdown = folder / f"{name}.md"
    markdown.write_text("\n\n".join([described, *(table.markdown() for table in tables)]) + "\n")
    content = {"notes": dict(notes), "tables": {t.name: _records(t) for t in tables}}
    (folder / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
    return markdown


def final_line(figures: Mapping[str, Any]) -> str:
    """The JSON object that a benchmark prints last; fractions are rounded to four digits."""
    rounded = {k: round(v, 4) if isinstance(v, float) else v for k, v in figures.items()}
    return json.dumps(rounded)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(cell: Cell, three: bool) -> list[str]:
    if isinstance(cell, Spread):
        return [repr(cell.median), repr(cell.low), repr(cell.high)]
    text = "" if cell is None else str(cell)
    return [text, "", ""] if three else [text]


def _records(table: Table) -> list[dict[str, Any]]:
    return [
        {
            column: {"median": cell.median, "low": cell.low, "high": cell.high}
            if isinstance(cell, Spread)
            else cell
            for column, cell in zip(table.columns, row, strict=True)
        }
        for row in table.rows
    ]
