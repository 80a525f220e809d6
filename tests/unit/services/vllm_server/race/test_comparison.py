"""Greedy verification against the definition, one request and one token at a time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.vllm_server.race.comparison import PLACEHOLDER, verified

TOKEN = st.integers(0, 2)
REQUEST = st.lists(TOKEN, max_size=6).flatmap(
    lambda drafts: st.tuples(
        st.just(drafts), st.lists(TOKEN, min_size=len(drafts) + 1, max_size=len(drafts) + 1)
    )
)


def one_by_one(drafts: list[int], likeliest: list[int]) -> list[int]:
    """What the verifier would say alone: its own token, and on as long as it was the draft."""
    said = []
    for draft, own in zip([*drafts, None], likeliest, strict=True):
        said.append(own)
        if own != draft:
            break
    return said


@given(st.lists(REQUEST, min_size=1, max_size=5))
def test_each_request_gets_what_it_would_alone(requests: list[tuple[list[int], list[int]]]) -> None:
    drafts = [token for each, _ in requests for token in each]
    likeliest = [token for _, each in requests for token in each]
    rows = verified(likeliest, drafts, [len(each) for each, _ in requests])
    assert len({len(row) for row in rows}) == 1
    for row, (drafted, own) in zip(rows, requests, strict=True):
        said = one_by_one(drafted, own)
        assert row == said + [PLACEHOLDER] * (len(row) - len(said))


def test_a_row_without_drafts_is_the_verifier_alone() -> None:
    assert verified([7, 8, 9], [8], [0, 1]) == [[7, PLACEHOLDER], [8, 9]]
