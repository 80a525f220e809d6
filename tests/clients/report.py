"""What a run of the suite shows: a table of clients and cases, and one line of JSON."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.clients.clients import CLIENTS, TITLES

PLACES = ("gateway", "device agent")


class Report:
    """A plugin of pytest that remembers what came of each client's cases at real engines."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str, str], str] = {}
        self.counts: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            self.counts[report.outcome] += 1
        asked = dict(report.user_properties).get("asked")
        if report.when != "call" or not isinstance(asked, list):
            return
        kind, client, case, place = asked
        if (kind == "simulator") == (case in CLIENTS[client].simulated_only):
            self.found[client, case, place] = "ok" if report.passed else "FAILED"

    def table(self) -> str:
        """A line for each client: what came of a case at the gateway and at the device agent."""
        widths = [max(map(len, CLIENTS)), *(max(len(title), 13) for title in TITLES.values())]
        lines = [["gateway / device agent", *TITLES.values()]]
        lines += [[title, *(self._cell(title, case) for case in TITLES)] for title in CLIENTS]
        widths[0] = max(widths[0], len(lines[0][0]))
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )

    def _cell(self, client: str, case: str) -> str:
        if case not in CLIENTS[client].cases:
            return "-"
        return " / ".join(self.found.get((client, case, place), "not run") for place in PLACES)

    def summary(self, seconds: float, install_s: dict[str, float]) -> str:
        """The last line."""
        failed = sorted({client for (client, *_), came in self.found.items() if came != "ok"})
        return json.dumps(
            {
                "clients": len({client for client, *_ in self.found}),
                "passed": self.counts["passed"],
                "failed": self.counts["failed"],
                "skipped": self.counts["skipped"],
                "failed_clients": failed,
                "install_s": install_s,
                "seconds": round(seconds, 1),
            }
        )
