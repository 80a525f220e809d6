"""Prompts in which a model reads what others answered.

A template is versioned, so that a reply can say which one made it. Its text is filled in one pass:
what a member wrote is never looked at for places to fill.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from gateway.core.collective.answers import Reading
from gateway.core.collective.untrusted import one_line, quoted
from gateway.core.collective.voting import Ballot

_PLACE = re.compile(r"\{(question|answers|own|other)\}")
PLACES = {"aggregate": {"question", "answers"}, "revise": {"question", "own", "other"}}
MIN_LINES, MAX_LINES = 3, 4


class Form(StrEnum):
    """FINALS: final answers, one a line, three or four lines, repeated by the weight behind them;
    what small models are trained on. QUOTES: whole texts, quoted line by line under the members'
    numbers."""

    FINALS = "finals"
    QUOTES = "quotes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """`purpose` is aggregate or revise. `answer_chars` and `answers` bound what is quoted."""

    name: str
    version: int
    purpose: str
    form: Form
    text: str
    answer_chars: int = 2000
    answers: int = 16

    @property
    def id(self) -> str:
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class TemplateRule:
    """Of the rules that fit, the first holds. `models` and `domains` are patterns as file names
    have them."""

    template: str
    models: Sequence[str] = ("*",)
    domains: Sequence[str] = ("*",)

    def fits(self, model: str, domain: str) -> bool:
        return any(fnmatchcase(model, p) for p in self.models) and any(
            fnmatchcase(domain, p) for p in self.domains
        )


@dataclass(frozen=True, slots=True)
class Templates:
    """`by_id` is by name@version."""

    by_id: Mapping[str, Template]
    rules: Sequence[TemplateRule]

    def choose(self, purpose: str, model: str, domain: str, asked: str | None = None) -> Template:
        """`asked`, where it serves the purpose, else by the rules. Raises LookupError."""
        if asked is not None and self.by_id[asked].purpose == purpose:
            return self.by_id[asked]
        for rule in self.rules:
            template = self.by_id[rule.template]
            if template.purpose == purpose and rule.fits(model, domain):
                return template
        raise LookupError(f"no rule gives a template to {purpose} for {model}")


def aggregation_prompt(template: Template, question: str, ballots: Sequence[Ballot]) -> str:
    """`ballots`, one at least, best first."""
    if template.form is Form.FINALS:
        answers = "\n".join(f"- {line}" for line in final_lines(ballots, template.answer_chars))
    else:
        answers = "\n\n".join(
            f"Member {number}:\n{quoted(ballot.reading.text, template.answer_chars)}"
            for number, ballot in enumerate(ballots[: template.answers], start=1)
        )
    return _filled(template.text, {"question": question, "answers": answers})


def revision_prompt(template: Template, question: str, own: Reading, other: Reading) -> str:
    """`own` is what the member said before, `other` what was made of everybody's answers."""
    shown = {"own": own, "other": other}
    if template.form is Form.FINALS:
        places = {name: _final(reading, template.answer_chars) for name, reading in shown.items()}
    else:
        places = {
            name: quoted(reading.text, template.answer_chars) for name, reading in shown.items()
        }
    return _filled(template.text, {"question": question, **places})


def final_lines(ballots: Sequence[Ballot], max_chars: int) -> list[str]:
    """A line for each answer, three or four in all: the distinct ones, those with the most weight
    behind them first; where there is room the weightier ones stand there more than once."""
    weights: dict[str, tuple[str, float]] = {}
    for ballot in ballots:
        line = _final(ballot.reading, max_chars)
        key = ballot.reading.key or line
        first, weight = weights.get(key, (line, 0.0))
        weights[key] = first, weight + ballot.weight
    ranked = sorted(weights.values(), key=lambda found: -found[1])[:MAX_LINES]
    counts = [1] * len(ranked)
    while sum(counts) < min(max(len(ballots), MIN_LINES), MAX_LINES):
        # Whoever has the most weight per line shown gets the next one (D'Hondt).
        most = max(range(len(ranked)), key=lambda i: (ranked[i][1] / counts[i], -i))
        counts[most] += 1
    return [line for (line, _), count in zip(ranked, counts, strict=True) for _ in range(count)]


def _final(reading: Reading, max_chars: int) -> str:
    return one_line(reading.final if reading.final is not None else reading.text, max_chars)


def _filled(text: str, places: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda place: places.get(place[1], place[0]), text)
