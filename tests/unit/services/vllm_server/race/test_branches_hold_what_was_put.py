"""Whatever is put, a step is given nothing that nobody drafted for exactly its text."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.vllm_server.race.branches import Branches

SESSION = "session-1"
Put = tuple[int, list[int], list[int]]
TOKEN = st.integers(0, 2)
"""So few that drafts repeat, extend and contradict each other all the time."""

PUTS = st.tuples(
    st.integers(0, 6), st.lists(TOKEN, min_size=1, max_size=5), st.lists(TOKEN, max_size=3)
)
ACTIONS = st.lists(
    st.one_of(
        PUTS,
        st.tuples(st.just("say"), st.lists(TOKEN, min_size=1, max_size=3)),
        st.tuples(st.just("take"), st.integers(-1, 4)),
    ),
    max_size=40,
)


def agree(put: Put, text: list[int]) -> bool:
    """Whether the put says nothing else than `text`, as far as that goes, and stands on it."""
    position, tokens, before = put
    if position > len(text):
        return True
    tail = text[max(0, position - len(before)) : position]
    known = before[len(before) - len(tail) :]
    length = min(len(tokens), len(text) - position)
    return known == tail and tokens[:length] == text[position : position + length]


@settings(max_examples=400)
@given(ACTIONS)
def test_each_token_given_was_put_there_on_a_text_like_the_one_said(actions: list[Any]) -> None:
    branches = Branches(max_grounds=4, max_tokens=12)
    puts: list[Put] = []
    said: list[int] = []
    for action in actions:
        if action[0] == "say":
            said += action[1]
        elif action[0] == "take":
            drafts = branches.take(SESSION, said, action[1])
            assert len(drafts) <= max(0, action[1])
            for length in range(1, len(drafts) + 1):
                place, text = len(said) + length - 1, said + drafts[:length]
                covering = [put for put in puts if put[0] <= place < put[0] + len(put[1])]
                assert any(agree(put, text) for put in covering)
        else:
            branches.put(SESSION, *action)
            puts.append(action)
    counts = branches.counts
    assert counts.received == sum(len(put[1]) for put in puts)
    entry = branches._sessions.get(SESSION)
    if entry is not None:
        held = [node for ground in entry._grounds for node in ground.all_below()]
        assert counts.waiting == sum(not node.counted for node in held)
        assert entry.kept == len(held) <= 12
        assert len(entry._grounds) <= 4
    branches.forget(SESSION)
    assert counts.waiting == 0


@settings(max_examples=200)
@given(st.lists(TOKEN, min_size=1, max_size=30), st.data())
def test_a_drafter_that_is_right_is_never_lost(answer: list[int], data: st.DataObject) -> None:
    """One branch, in pieces of any size, as the answer goes on: all that is beyond is given."""
    branches, sent, said = Branches(), 0, 0
    while said < len(answer):
        piece = data.draw(st.integers(0, 6))
        tokens = answer[sent : sent + piece]
        if tokens:
            branches.put(SESSION, sent, tokens, answer[max(0, sent - 4) : sent])
        sent += len(tokens)
        assert branches.take(SESSION, answer[:said], 99) == answer[said:sent]
        said += data.draw(st.integers(1, 4))
