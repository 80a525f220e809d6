"""Reads a Dockerfile as far as its rules are checked: instructions, stages and defaults."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
DOCKERFILES = sorted(
    path.relative_to(ROOT)
    for folder in ("gateway", "services")
    for path in (ROOT / folder).rglob("Dockerfile*")
)


@dataclass(frozen=True)
class Dockerfile:
    instructions: list[tuple[str, str]]
    """The word in capitals, and the rest of its line with continuations joined."""

    @classmethod
    def read(cls, path: Path) -> Dockerfile:
        lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        joined = re.sub(r"\\\n", " ", "\n".join(lines))
        pairs = (line.split(maxsplit=1) for line in joined.splitlines() if line.strip())
        return cls([(word.upper(), rest.strip()) for word, rest in pairs])

    def of(self, word: str) -> list[str]:
        return [rest for instruction, rest in self.instructions if instruction == word]

    @property
    def last_stage(self) -> Dockerfile:
        """The instructions from the last FROM on: those that the image keeps."""
        last = max(i for i, (word, _) in enumerate(self.instructions) if word == "FROM")
        return Dockerfile(self.instructions[last:])

    @property
    def defaults(self) -> dict[str, str]:
        """The arguments that have a default value."""
        return {name: value for name, equals, value in self._arguments if equals}

    @property
    def _arguments(self) -> list[tuple[str, str, str]]:
        return [rest.partition("=") for rest in self.of("ARG")]

    @property
    def bases(self) -> list[str]:
        """The images that the stages start from, without other stages and the empty one, arguments
        filled in."""
        stages = {"scratch"}
        bases = []
        for rest in self.of("FROM"):
            base, *alias = re.split(r"\s+AS\s+", rest, flags=re.IGNORECASE)
            base = re.sub(r"\$\{(\w+)\}", lambda found: self.defaults[found[1]], base)
            if base not in stages:
                bases.append(base)
            stages.update(alias)
        return bases
