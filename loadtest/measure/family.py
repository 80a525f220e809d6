"""The shipped model family as benchmarks need it: held-out questions with their right answers,
the family's own evaluation, and the sizes of its models."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from math import prod
from pathlib import Path

from loadtest.measure.command import BenchmarkFailure
from loadtest.measure.processes import Processes, last_line, output_of
from loadtest.measure.settings import TIERS

MODULE = "services.model_family"
LEAD = "Answer:"
CALIBRATION_SHARE = 0.6
EVALUATE_S = 3600.0


@dataclass(frozen=True, slots=True)
class Question:
    """A held-out question of the family, with its task and its right answer."""

    task: str
    prompt: str
    answer: str


def held_out(python: str, count: int) -> list[Question]:
    """Questions that no model of the family was trained on. Raises BenchmarkFailure."""
    command = [python, "-m", MODULE, "questions", "--examples", str(count)]
    output = output_of("model_family questions", command)
    rows = [json.loads(line) for line in output.splitlines()]
    return [Question(row["task"], row["prompt"], row["answer"]) for row in rows]


def longest_first(questions: Iterable[Question]) -> list[Question]:
    """The questions by the length of their right answers, each prompt once."""
    unique = {question.prompt: question for question in questions}
    return sorted(unique.values(), key=lambda question: -len(question.answer))


def split_of(question: Question) -> str:
    """`calibration` or `evaluation`: which side of a predictor's fit the question is on.

    Drawn from the question's text alone, so that no question is ever on both sides.
    """
    digest = hashlib.sha256(b"calibration:" + question.prompt.encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    return "calibration" if share < CALIBRATION_SHARE else "evaluation"


def is_right(answer: str, expected: str) -> bool:
    """Exact match of what follows the last `Answer:`, else of all, as the family's own scorer."""
    return _final(answer) == _final(expected)


def _final(text: str) -> str:
    _, lead, tail = text.rpartition(LEAD)
    return (tail if lead else text).strip()


@dataclass(frozen=True, slots=True)
class Quality:
    """The family's evaluation by tier, in shares from 0 to 1.

    `accuracy` is exact match, `agreement` the share of tokens that are the cloud size's own.
    """

    accuracy: Mapping[str, float]
    agreement: Mapping[str, float]


def evaluate(
    processes: Processes, python: str, *, family: Path, examples: int, cores: Set[int]
) -> Quality:
    """The family's own evaluation, over `examples` held-out questions per size.

    Raises BenchmarkFailure.
    """
    command = [
        *(python, "-m", MODULE, "evaluate"),
        *("--weights", str(family), "--examples", str(examples)),
    ]
    process = processes.start("evaluate", command, cores=cores)
    code = process.wait(EVALUATE_S)
    output = process.log.read_text(errors="replace")
    if code != 0:
        raise BenchmarkFailure(f"model_family evaluate: {last_line(output)}")
    return read_quality(last_line(output))


def read_quality(line: str) -> Quality:
    """From `{"accuracy_device": …, "agreement_device": …, …}`. Raises BenchmarkFailure."""
    try:
        figures = json.loads(line)
        return Quality(
            {tier: float(figures[f"accuracy_{tier}"]) for tier in TIERS},
            {tier: float(figures.get(f"agreement_{tier}", 1.0)) for tier in TIERS},
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BenchmarkFailure(f"model_family evaluate ended with {line[:200]!r}") from error


def parameters(model: Path) -> int:
    """Number of weights in the model's safetensors files, read from their headers.

    Raises BenchmarkFailure when there is no such file.
    """
    files = sorted(model.glob("*.safetensors"))
    if not files:
        raise BenchmarkFailure(f"{model} has no safetensors file", 2)
    return sum(_tensor_sizes(file) for file in files)


def _tensor_sizes(file: Path) -> int:
    """The format: 8 bytes little-endian length of a JSON header, the header, the data."""
    with file.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(length))
    return sum(prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
