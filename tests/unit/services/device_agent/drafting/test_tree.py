"""Whatever is drafted and verified, what is sent stands after what it says it stands after."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.protocol.device_link.speculation import BEFORE, MAX_AHEAD_TOKENS, MAX_DRAFT_TOKENS
from services.device_agent.drafters.port import Guess
from services.device_agent.drafting.acceptance import Acceptance
from services.device_agent.drafting.tree import MAX_NODES, DraftRun, DraftTree, PositionMismatch

END = 9
BURST = 8
tokens = st.integers(0, END)
guesses = st.builds(Guess, tokens, st.sampled_from([0.05, 0.4, 0.8, 0.97, 1.0]), st.just(-1)) | (
    st.builds(Guess, tokens, st.sampled_from([0.05, 0.4, 0.8, 0.97, 1.0]), tokens)
)


class Model(RuleBasedStateMachine):
    """The model is the verified text, the lead, and the set of all texts that were sent since the
    lead was last taken back."""

    def __init__(self) -> None:
        super().__init__()
        self.tree = DraftTree(acceptance=Acceptance(), end_tokens=frozenset({END}))
        self.said: list[int] = []
        self.lead: list[int] = []
        self.sent: set[tuple[int, ...]] = set()

    def living(self) -> set[tuple[int, ...]]:
        """Texts beyond the verified one and the lead that agree with them."""
        head = tuple(self.said + self.lead)
        return {each for each in self.sent if len(each) > len(head) and each[: len(head)] == head}

    @rule(window=st.integers(0, 64), drafted=st.lists(guesses, max_size=BURST), data=st.data())
    def grow(self, window: int, drafted: list[Guess], data: st.DataObject) -> None:
        slot = self.tree.best(window)
        if slot is None:
            return
        depth, text = self.tree.depth(slot), self.tree.text(slot)
        assert depth < window
        base = self.said + self.lead
        assert text[: len(base)] == base, "drafts go on from what is verified and the lead"
        tail = [] if slot.token is None else [slot.token]
        assert len(text) == len(base) + depth
        assert depth == len(tail) or tuple(text[: len(text) - len(tail)]) in self.living()
        assert END not in text[len(base) : len(text) - len(tail)], "ends are not continued"
        assert not self.lead or self.lead[-1] != END
        drafted = drafted[: window - depth]
        if slot.token == END:
            drafted = []
        enough = self.tree.pursue(slot)
        kept = []
        for guess in drafted:
            kept.append(guess)
            if enough(guess):
                break
        run = self.tree.grow(slot, kept)
        if run is None:
            assert not tail and not kept
            return
        assert run.token_ids == [*tail, *(guess.token for guess in kept)], "nothing is held back"
        assert 1 <= len(run.token_ids) <= MAX_DRAFT_TOKENS
        assert run.position == len(text) - len(tail)
        before = text[: run.position]
        assert run.before == before[max(0, len(before) - BEFORE) :]
        for count in range(1, len(run.token_ids) + 1):
            whole = (*before, *run.token_ids[:count])
            assert whole not in self.sent, "nothing is sent twice"
            self.sent.add(whole)
            assert len(whole) - len(base) <= window

    @precondition(lambda self: self.living())
    @rule(data=st.data(), count=st.integers(1, 5))
    def verify_what_was_drafted(self, data: st.DataObject, count: int) -> None:
        whole = data.draw(st.sampled_from(sorted(self.living())))
        right = list(whole[len(self.said) :])[: len(self.lead) + count]
        self.verify(right)

    @rule(right=st.lists(tokens, min_size=1, max_size=5))
    def verify(self, right: list[int]) -> None:
        stood = 0
        for token in right:
            agrees = bool(self.lead) and self.lead[0] == token
            stood += agrees or (not self.lead and (*self.said, token) in self.living())
            self.said.append(token)
            if agrees:
                self.lead.pop(0)
            elif self.lead:
                self.lead.clear()
                self.sent.clear()
        assert self.tree.verify(len(self.said) - len(right), right) == stood

    @precondition(lambda self: self.lead)
    @rule(count=st.integers(1, 8))
    def verify_the_lead(self, count: int) -> None:
        self.verify(self.lead[:count])

    @precondition(lambda self: self.living())
    @rule(data=st.data(), count=st.integers(1, 5))
    def lead_by_what_was_drafted(self, data: st.DataObject, count: int) -> None:
        whole = data.draw(st.sampled_from(sorted(self.living())))
        base = len(self.said) + len(self.lead)
        self.expect(len(self.lead), list(whole[base:])[:count])

    @rule(kept=st.integers(0, 20), expected=st.lists(tokens, max_size=6))
    def expect(self, kept: int, expected: list[int]) -> None:
        self.tree.expect(len(self.said) + kept, expected)
        if kept > len(self.lead):
            return  # a gap
        lead = self.lead[:kept] + expected
        if lead[: len(self.lead)] != self.lead:
            self.sent.clear()
        self.lead = lead

    @rule(late=st.integers(1, 4), expected=st.lists(tokens, max_size=6), right=st.booleans())
    def expect_from_before_the_verified_end(
        self, late: int, expected: list[int], right: bool
    ) -> None:
        late = min(late, len(self.said))
        known = self.said[len(self.said) - late :]
        if right:
            self.tree.expect(len(self.said) - late, known + expected)
            self.expect(0, expected)
        elif known:
            self.tree.expect(len(self.said) - late, [*known[:-1], END + 1, *expected])

    @rule(gap=st.sampled_from([-1, 1, 7]))
    def a_gap_is_an_error(self, gap: int) -> None:
        with pytest.raises(PositionMismatch):
            self.tree.verify(len(self.said) + gap, [1])

    @invariant()
    def the_verified_text_is_what_was_given(self) -> None:
        assert self.tree.verified == self.said
        assert self.tree.lead == self.lead

    @invariant()
    def the_count_of_nodes_is_exact(self) -> None:
        assert self.tree.nodes == len(self.living()) < MAX_NODES + BURST


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=60, stateful_step_count=30)


def grown(tree: DraftTree, *drafted: Guess) -> list[int]:
    slot = tree.best(32)
    assert slot is not None
    run = tree.grow(slot, drafted)
    return [] if run is None else run.token_ids


def texts(tree: DraftTree, count: int) -> list[list[int]]:
    """What is read next, when nothing is known of any of it."""
    found = []
    for _ in range(count):
        slot = tree.best(32)
        if slot is None:
            break
        found.append(tree.text(slot))
        tree.grow(slot, [])
    return found


def test_where_the_drafter_is_unsure_its_second_guess_is_drafted_too() -> None:
    tree = DraftTree(acceptance=Acceptance())
    assert grown(tree, Guess(1, 0.4, 2), Guess(3, 0.99, 4)) == [1, 3]
    assert [2] in texts(tree, 4)


def test_a_trunk_alone_has_no_second_guesses() -> None:
    tree = DraftTree(acceptance=Acceptance(), trunk_only=True)
    assert grown(tree, Guess(1, 0.4, 2), Guess(3, 0.4, 4)) == [1, 3]
    assert texts(tree, 4) == [[1, 3]]


def test_a_second_guess_equal_to_the_first_is_none() -> None:
    tree = DraftTree(acceptance=Acceptance())
    grown(tree, Guess(1, 0.4, 1), Guess(3, 0.4, 3))
    assert texts(tree, 4) == [[1, 3]]


def test_it_grows_where_a_token_is_likeliest_to_be_reached() -> None:
    tree = DraftTree(acceptance=Acceptance())
    grown(tree, Guess(1, 0.2, 2), Guess(3, 0.2, 4))
    assert texts(tree, 1) == [[2]], "the second guess is likelier than the first's successor"


def test_no_more_than_the_mailbox_holds_is_drafted() -> None:
    tree = DraftTree(acceptance=Acceptance())
    for _ in range(500):
        tree.acceptance.learn(0.9999, True)
    while (slot := tree.best(10_000)) is not None:
        tree.grow(slot, [Guess(7, 0.9999)] * BURST)
    assert MAX_NODES <= tree.nodes < MAX_NODES + BURST
    tree.verify(0, [7] * BURST)
    assert tree.best(10_000) is not None, "what was verified makes room"


def test_what_is_hardly_ever_reached_is_not_drafted() -> None:
    tree = DraftTree(acceptance=Acceptance())
    rounds = 0
    while (slot := tree.best(64)) is not None:
        tree.grow(slot, [Guess(3, 0.1)])
        rounds += 1
    assert rounds == tree.nodes <= 3


def test_learns_from_the_verified_token_alone() -> None:
    tree = DraftTree(acceptance=Acceptance())
    grown(tree, Guess(1, 0.9, 2), Guess(3, 0.9, 4), Guess(5, 0.9, 6))
    before, second = tree.acceptance.overall.value, tree.acceptance.second
    tree.verify(0, [1])
    after = tree.acceptance.overall.value
    assert after > before and tree.acceptance.second == second
    tree.verify(1, [4])
    assert tree.acceptance.overall.value < after
    assert tree.acceptance.second > second
    tree.verify(2, [9, 9])
    assert len(tree.verified) == 4


def test_it_goes_on_from_what_an_earlier_session_verified() -> None:
    tree = DraftTree(acceptance=Acceptance(), verified=[4, 5, 6, 7, 8])
    slot = tree.best(4)
    assert slot is not None and tree.text(slot) == [4, 5, 6, 7, 8]
    run = tree.grow(slot, [Guess(1, 0.9), Guess(2, 0.9)])
    assert run == DraftRun(5, [1, 2], [5, 6, 7, 8])
    assert tree.verify(5, [1]) == 1
    with pytest.raises(PositionMismatch):
        tree.verify(0, [4])


def test_drafts_go_on_from_a_tier_in_the_middles_correction() -> None:
    tree = DraftTree(acceptance=Acceptance(), verified=[1])
    grown(tree, Guess(2, 0.9), Guess(3, 0.9), Guess(4, 0.9))
    tree.expect(1, [2, 7])
    assert texts(tree, 1) == [[1, 2, 7]]
    assert tree.verified == [1]


def test_drafts_go_on_from_the_verifiers_correction_of_a_lead() -> None:
    tree = DraftTree(acceptance=Acceptance())
    tree.expect(0, [2, 3, 4])
    tree.verify(0, [2, 5])
    assert (tree.verified, tree.lead) == ([2, 5], [])
    assert texts(tree, 1) == [[2, 5]]


def test_drafts_beyond_a_lead_stay_while_it_is_verified() -> None:
    tree = DraftTree(acceptance=Acceptance())
    tree.expect(0, [2, 3])
    assert grown(tree, Guess(4, 0.9), Guess(5, 0.9)) == [4, 5]
    tree.verify(0, [2, 3])
    assert (tree.lead, tree.nodes) == ([], 2)
    assert tree.verify(2, [4]) == 1


def test_likely_tokens_that_are_wanted_soon_are_near() -> None:
    tree = DraftTree(acceptance=Acceptance())
    for _ in range(8):
        slot = tree.best(32)
        assert slot is not None and tree.is_near(slot)
        tree.grow(slot, [Guess(1, 0.9999)])
    slot = tree.best(32)
    assert slot is not None and not tree.is_near(slot), "far from the verified text"
    unsure = DraftTree(acceptance=Acceptance())
    assert grown(unsure, Guess(1, 0.1), Guess(2, 0.1)) == [1, 2]
    slot = unsure.best(32)
    assert slot is not None and not unsure.is_near(slot), "hardly ever reached"


def test_learns_from_the_lead_where_a_tier_in_the_middle_judges() -> None:
    tree = DraftTree(acceptance=Acceptance())
    grown(tree, Guess(1, 0.9), Guess(3, 0.9), Guess(5, 0.9))
    before = tree.acceptance.overall.value
    tree.expect(0, [1, 3])
    after = tree.acceptance.overall.value
    assert after > before
    tree.verify(0, [1, 3, 9], learns=False)
    assert tree.acceptance.overall.value == after


def test_a_lead_is_bounded() -> None:
    tree = DraftTree(acceptance=Acceptance())
    for round_ in range(5):
        tree.expect(100 * round_, [1] * MAX_AHEAD_TOKENS)
    assert tree.lead == [1] * MAX_AHEAD_TOKENS
