"""Which drafts of greedy requests stand, and the verifier's token after them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

PLACEHOLDER = -1
"""vLLM's own, for places of a row that hold no token."""


def verified(
    likeliest: Sequence[int], drafts: Sequence[int], per_request: Sequence[int]
) -> list[list[int]]:
    """Per request its confirmed drafts and one token of the verifier's own, padded with -1.

    `likeliest` [drafts + requests]: each request's rows follow one another, the last of them after
    all its drafts; `drafts` are all requests' in the same order, `per_request` how many are whose.
    """
    width = max(per_request) + 1
    rows = []
    row = draft = 0
    for number in per_request:
        right = 0
        while right < number and likeliest[row + right] == drafts[draft + right]:
            right += 1
        tokens = likeliest[row : row + right + 1]
        rows.append([*tokens, *[PLACEHOLDER] * (width - len(tokens))])
        row += number + 1
        draft += number
    return rows
