"""Which lines of the project's code an input reaches."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
OURS = (str(ROOT / "gateway"), str(ROOT / "services"))
Tracer = Callable[[FrameType, str, Any], Any]


class LineCoverage:
    """The lines that were reached so far. `new_lines` runs something, and says how many lines it
    reached that nothing reached before."""

    def __init__(self) -> None:
        self.seen: set[tuple[object, int]] = set()
        self._ours: dict[str, bool] = {}

    def new_lines(self, run: Callable[[], object]) -> int:
        before, outer = len(self.seen), sys.gettrace()
        sys.settrace(self._call)
        try:
            run()
        finally:
            sys.settrace(outer)
        return len(self.seen) - before

    def _call(self, frame: FrameType, event: str, argument: Any) -> Tracer | None:
        name = frame.f_code.co_filename
        ours = self._ours.get(name)
        if ours is None:
            ours = self._ours[name] = name.startswith(OURS)
        return self._line if ours else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Tracer:
        if event == "line":
            self.seen.add((frame.f_code, frame.f_lineno))
        return self._line
