"""The templates of prompts in which a model reads what members answered.

A template has a version, so that a reply can name the one that was used. Its text is filled in one
pass, so that a place such as `{answers}` in a member's text is not filled.
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
    """The form in which answers stand in a prompt. FINALS: three or four lines with a final answer
    each, which is repeated according to its weight; small models are trained on this form. QUOTES:
    whole texts, quoted line by line under the members' numbers."""

    FINALS = "finals"
    QUOTES = "quotes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """The text of a prompt with places to fill. `purpose` is aggregate or revise; at most `answers`
    answers of `answer_chars` characters are shown."""

    name: str
    version: int
    purpose: str
    form: Form
    text: str
    answer_chars: int
    answers: int

    @property
    def id(self) -> str:
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class TemplateRule:
    """A rule that gives a template for certain models and domains, both as patterns like those of
    file names. The first rule that fits holds."""

    template: str
    models: Sequence[str]
    domains: Sequence[str]

    def fits(self, model: str, domain: str) -> bool:
        return any(fnmatchcase(model, p) for p in self.models) and any(
            fnmatchcase(domain, p) for p in self.domains
        )


@dataclass(frozen=True, slots=True)
class Templates:
    """The templates by id (name@version), and the rules that choose among them."""

    by_id: Mapping[str, Template]
    rules: Sequence[TemplateRule]

    def choose(
        self, purpose: str, model: str, domain: str, requested: str | None = None
    ) -> Template:
        """The template `requested`, if it has this purpose, else the one of the rules. Raises
        LookupError."""
        if requested is not None and self.by_id[requested].purpose == purpose:
            return self.by_id[requested]
        for rule in self.rules:
            template = self.by_id[rule.template]
            if template.purpose == purpose and rule.fits(model, domain):
                return template
        raise LookupError(f"no rule gives a template to {purpose} for {model}")


def aggregation_prompt(template: Template, question: str, ballots: Sequence[Ballot]) -> str:
    """The prompt to aggregate the answers of `ballots`, one at least, best first."""
    if template.form is Form.FINALS:
        answers = "\n".join(f"- {line}" for line in final_lines(ballots, template.answer_chars))
    else:
        answers = "\n\n".join(
            f"Member {number}:\n{quoted(ballot.reading.text, template.answer_chars)}"
            for number, ballot in enumerate(ballots[: template.answers], start=1)
        )
    return _filled(template.text, {"question": question, "answers": answers})


def revision_prompt(template: Template, question: str, own: Reading, other: Reading) -> str:
    """The prompt to revise an answer: `own` is the member's, `other` the aggregate of all."""
    shown = {"own": own, "other": other}
    if template.form is Form.FINALS:
        places = {name: _final(reading, template.answer_chars) for name, reading in shown.items()}
    else:
        places = {
            name: quoted(reading.text, template.answer_chars) for name, reading in shown.items()
        }
    return _filled(template.text, {"question": question, **places})


def final_lines(ballots: Sequence[Ballot], max_chars: int) -> list[str]:
    """The three or four lines of the form FINALS: the distinct final answers, heaviest first. Where
    there is room, heavier ones stand there more than once."""
    weights: dict[str, tuple[str, float]] = {}
    for ballot in ballots:
        line = _final(ballot.reading, max_chars)
        key = ballot.reading.key or line
        first_line, weight = weights.get(key, (line, 0.0))
        weights[key] = first_line, weight + ballot.weight
    ranked = sorted(weights.values(), key=lambda item: -item[1])[:MAX_LINES]
    counts = [1] * len(ranked)
    while sum(counts) < min(max(len(ballots), MIN_LINES), MAX_LINES):
        # The answer with the most weight per line shown gets the next line (D'Hondt).
        most = max(range(len(ranked)), key=lambda i: (ranked[i][1] / counts[i], -i))
        counts[most] += 1
    return [line for (line, _), count in zip(ranked, counts, strict=True) for _ in range(count)]


def _final(reading: Reading, max_chars: int) -> str:
    return one_line(reading.final if reading.final is not None else reading.text, max_chars)


def _filled(text: str, places: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda place: places.get(place[1], place[0]), text)
