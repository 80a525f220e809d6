"""A tier in the middle races a tier above that corrects it anywhere, and takes text back."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.speculation.job import DraftRun
from gateway.core.speculation.lead import Lead

LIMIT, RESUME = 8, 4


def lead_of(most: int | None = None) -> Lead:
    return Lead(most=most, limit=LIMIT, resume=RESUME)


@dataclass
class Race:
    """The tier above says `truth`; an engine in the middle says its own `opinion` of each position,
    which is right where the two are equal."""

    truth: list[int]
    opinion: list[int]
    chance: random.Random
    lead: Lead = field(init=False)
    decided: list[int] = field(default_factory=list)
    offered: list[DraftRun] = field(default_factory=list)
    streams: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lead = lead_of(len(self.truth))

    def engine_step(self) -> None:
        """The engine makes its next ids from what its stream continues, then what it made."""
        lead = self.lead
        if lead.wants_stream:
            lead.begin()
            self.streams.append(lead.start)
        if lead.streaming:
            ids = self.opinion[lead.at : lead.at + self.chance.randint(1, 4)]
            before = list(lead.text)
            new = list(lead.write(ids))
            if new:
                run = lead.upward(new)
                assert run[0] == len(before)
                assert before + list(run[1]) == lead.text
                assert run[2] == before[-4:]
                self.offered.append(run)
            if lead.streaming and lead.at == len(self.opinion):
                lead.finish()

    def decide(self, count: int) -> None:
        ids = self.truth[len(self.decided) : len(self.decided) + count]
        if ids:
            self.lead.follow(len(self.decided), ids)
            self.decided += ids

    def check(self) -> None:
        lead = self.lead
        assert 0 <= lead.size <= lead.limit
        assert lead.confirmed == len(self.decided)
        assert lead.text[: lead.confirmed] == self.decided
        if lead.streaming:
            assert lead.start <= lead.at <= len(lead.text)
            # What the engine has in its prompt and has said is the text.
            assert lead.at >= lead.confirmed or lead.at < len(lead.text)
            said = self.opinion[lead.start : lead.at]
            assert lead.text[lead.start : lead.at] == said
        if (run := lead.catch_up()) is not None:
            position, ids, _ = run
            place = lead.start + position
            assert place == lead.at and self.decided[place : place + len(ids)] == list(ids)


@st.composite
def races(draw: st.DrawFn) -> Race:
    length = draw(st.integers(1, 60))
    truth = [place * 10 for place in range(length)]
    wrong = draw(st.sets(st.integers(0, length - 1)))
    opinion = [token + (place in wrong) for place, token in enumerate(truth)]
    # It may end before the tier above does, or go on after.
    opinion = opinion[: draw(st.integers(1, length))]
    return Race(truth, opinion, random.Random(draw(st.integers(0, 2**16))))


@given(races(), st.integers(1, 5))
def test_whatever_the_middle_says_the_text_above_decides_and_the_lead_is_bounded(
    race: Race, pace: int
) -> None:
    while len(race.decided) < len(race.truth):
        for _ in range(race.chance.randint(0, pace)):
            race.engine_step()
            race.check()
        race.decide(race.chance.randint(1, 5))
        race.check()
    assert race.lead.text[: len(race.truth)] == race.truth


@given(races())
def test_a_middle_that_is_right_is_asked_again_only_where_its_lead_was_full(race: Race) -> None:
    race.opinion = list(race.truth)
    while len(race.decided) < len(race.truth):
        for _ in range(3):
            race.engine_step()
        race.decide(race.chance.randint(1, 3))
        race.check()
    offered = [token for run in race.offered for token in run[1]]
    assert offered == race.truth[: len(offered)], "each id once, in order"
    for before, after in zip(race.streams, race.streams[1:], strict=False):
        assert after - before >= LIMIT - RESUME


@given(st.lists(st.integers(0, 3), max_size=30), st.integers(0, 2**16))
def test_a_tier_above_that_takes_its_own_text_back_is_followed(said: list[int], seed: int) -> None:
    """Where tiers in the middle stand above one another, the upper one's text is no last word."""
    chance, lead, above = random.Random(seed), lead_of(), list[int]()
    for token in said:
        if lead.wants_stream:
            lead.begin()
        if lead.streaming and chance.random() < 0.7:
            lead.write([chance.randint(0, 3) for _ in range(3)])
        position = chance.randint(max(0, len(above) - 4), len(above))
        position = min(position, lead.confirmed)
        above[position:] = [token] * chance.randint(1, 3)
        lead.follow(position, above[position:])
        assert lead.text[: lead.confirmed] == above
        assert lead.size <= lead.limit
        if lead.streaming:
            assert lead.at <= len(lead.text)


def test_an_end_that_the_tier_above_does_not_agree_to_is_taken_back() -> None:
    lead = lead_of()
    lead.begin()
    lead.write([1, 2])
    lead.finish()
    assert not lead.wants_stream
    lead.follow(0, [1, 2])
    assert not lead.wants_stream
    lead.follow(2, [3])
    assert lead.wants_stream
    lead.begin()
    assert lead.start == 3
