"""How long a step takes, by what is in it: the engine's batch-time curve, learned as it runs. Pure.

A line, and what differs from it. The line is `a + b·requests + c·drafts + d` (d for any drafts at
all): least squares over decayed observations, where no term may be negative. Requests and drafts
are apart, since a request costs more than its row: it is sampled, and its tokens are sent. What the
line misses, such as the rows from which on a GPU is busy, is kept by the total of rows. The context
is left out: it is the same whichever drafts are chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import ceil, log2

DECAY = 0.998
"""What an observation is worth after the next one: some 500 steps are remembered."""
DIFFERENCE_DECAY = 0.95
SHRINKAGE = 4.0
"""Steps of a number of rows that must be seen before half of their difference is believed."""
FIT_EVERY = 8
CLIP_AFTER = 32
CLIP = 2.0
"""A step that takes longer than so often the expected time was held up by something else."""
RIDGE = (1e-9, 1.0, 2.0, 1.0)
"""Squares with which each term is kept near 0: without steps that differ all time is the step's
own, and drafts cost nothing."""
TERMS = len(RIDGE)
ROWS_AHEAD = 64
SINGLE = 8
"""Below so many rows each number is apart; beyond, four in each doubling, of which the last ends
with a power of two: there the tiles of matrix products are full."""


class StepTimes:
    """Seconds of a step by its requests and draft tokens."""

    def __init__(self) -> None:
        self.observed = 0
        self._squares = [[0.0] * TERMS for _ in range(TERMS)]
        self._products = [0.0] * TERMS
        self._line = [0.0] * TERMS
        self._differences: dict[int, float] = {}
        self._seen: dict[int, float] = {}
        self._curves: dict[int, list[float]] = {}
        self._by_rows: list[float] = []
        """Curves by requests, and differences by rows, as of the last fit."""

    def observe(self, requests: int, drafts: int, seconds: float) -> None:
        """What a step took that had a row for each request and for each draft token."""
        expected = self._on_line(requests, drafts)
        if self.observed >= CLIP_AFTER:
            seconds = min(seconds, CLIP * (expected + self._difference(requests + drafts)))
        terms = (1.0, float(requests), float(drafts), float(drafts > 0))
        for row, left in enumerate(terms):
            squares = self._squares[row]
            for column, right in enumerate(terms):
                squares[column] = DECAY * squares[column] + left * right
            self._products[row] = DECAY * self._products[row] + left * seconds
        place = _place(requests + drafts)
        seen = self._seen.get(place, 0.0)
        before = self._differences.get(place, 0.0)
        self._seen[place] = DIFFERENCE_DECAY * seen + 1.0
        self._differences[place] = before + (seconds - expected - before) / self._seen[place]
        self.observed += 1
        if self.observed % FIT_EVERY == 0 or self.observed < FIT_EVERY:
            self._line = _least_squares(self._squares, self._products)
            self._curves.clear()
            self._by_rows.clear()

    def expected(self, requests: int, drafts: int) -> float:
        """Seconds; 0 as long as nothing is known."""
        return max(0.0, self._on_line(requests, drafts) + self._difference(requests + drafts))

    def curve(self, requests: int, most: int) -> Sequence[float]:
        """Seconds of a step with 0 to `most` draft tokens: never falling."""
        curve = self._curves.get(requests)
        if curve is None or len(curve) <= most:
            curve = self._curves[requests] = self._curve(requests, most + ROWS_AHEAD)
        return curve[: most + 1]

    def _curve(self, requests: int, most: int) -> list[float]:
        while len(self._by_rows) <= requests + most:
            self._by_rows.append(self._difference(len(self._by_rows)))
        whole, request, draft, any_draft = self._line
        whole += request * requests
        differences = self._by_rows[requests : requests + most + 1]
        curve = [whole + any_draft + draft * d + more for d, more in enumerate(differences)]
        curve[0] = whole + differences[0]
        return list(accumulate(curve, max, initial=0.0))[1:]

    def _on_line(self, requests: int, drafts: int) -> float:
        whole, request, draft, any_draft = self._line
        return whole + request * requests + draft * drafts + (any_draft if drafts else 0.0)

    def _difference(self, rows: int) -> float:
        place = _place(rows)
        seen = self._seen.get(place, 0.0)
        return self._differences.get(place, 0.0) * seen / (seen + SHRINKAGE)


def _place(rows: int) -> int:
    return rows if rows < SINGLE else SINGLE + ceil(4 * log2(rows / SINGLE) - 1e-9)


def _least_squares(squares: Sequence[Sequence[float]], products: Sequence[float]) -> list[float]:
    """The line without negative terms: the most negative one is left out, until there is none."""
    kept = list(range(TERMS))
    while True:
        matrix = [
            [squares[i][j] + (RIDGE[i] if i == j else 0.0) for j in kept] + [products[i]]
            for i in kept
        ]
        solved = dict(zip(kept, _solved(matrix), strict=True))
        worst = min(kept, key=lambda term: solved[term])
        if solved[worst] >= 0:
            return [solved.get(term, 0.0) for term in range(TERMS)]
        kept.remove(worst)


def _solved(matrix: list[list[float]]) -> list[float]:
    """Gauss–Jordan with pivots; the last column is the right side. The ridge keeps it regular."""
    size = len(matrix)
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(matrix[row][column]))
        matrix[column], matrix[pivot] = matrix[pivot], matrix[column]
        head = matrix[column]
        for row in range(size):
            if row != column and (factor := matrix[row][column] / head[column]):
                matrix[row] = [a - factor * b for a, b in zip(matrix[row], head, strict=True)]
    return [matrix[row][size] / matrix[row][row] for row in range(size)]
