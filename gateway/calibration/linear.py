"""Systems of linear equations, small ones."""

from __future__ import annotations

from collections.abc import Sequence


def solve(matrix: Sequence[Sequence[float]], right: Sequence[float]) -> list[float]:
    """x of matrix [n x n] x = right [n], by elimination with partial pivoting.

    Raises ZeroDivisionError when the matrix is singular.
    """
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    size = len(rows)
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(rows[row][column]))
        rows[column], rows[pivot] = rows[pivot], rows[column]
        for row in range(column + 1, size):
            factor = rows[row][column] / rows[column][column]
            if factor:
                rows[row] = [
                    here - factor * above
                    for here, above in zip(rows[row], rows[column], strict=True)
                ]
    solution = [0.0] * size
    for row in reversed(range(size)):
        solved = sum(rows[row][column] * solution[column] for column in range(row + 1, size))
        solution[row] = (rows[row][size] - solved) / rows[row][row]
    return solution
