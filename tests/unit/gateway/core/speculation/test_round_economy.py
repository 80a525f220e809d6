from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.speculation.round_costs import RoundCosts
from gateway.core.speculation.round_economy import (
    RoundChoice,
    RoundEconomy,
    RoundPrices,
    best_round,
    drafts_that_pay,
    expected_tokens,
)

RATES = st.lists(st.floats(0.0, 1.0), max_size=8)
SECONDS = st.floats(1e-4, 1.0)


def priced(token_s: float, base_s: float, row_s: float, return_s: float = 0.0) -> RoundPrices:
    return RoundPrices(
        token_s=token_s, round_s=lambda rows: base_s + row_s * rows, return_s=return_s
    )


PRICES = st.builds(priced, SECONDS, SECONDS, SECONDS, SECONDS)


def test_expected_tokens() -> None:
    assert expected_tokens([]) == 1.0
    assert expected_tokens([1.0, 1.0]) == 3.0
    assert expected_tokens([0.5, 0.5]) == 1.75


def test_right_drafts_are_checked_together_where_rows_are_cheap() -> None:
    prices = priced(0.036, 0.045, 0.010)
    choice = drafts_that_pay([0.95] * 8, prices, in_rounds=False, usual_run=4)
    assert choice.drafts == 8
    assert choice.gain > 1.5


def test_wrong_drafts_are_left_to_the_stream() -> None:
    prices = priced(0.036, 0.045, 0.010)
    assert drafts_that_pay([0.3] * 8, prices, in_rounds=False, usual_run=4).drafts == 0


def test_of_uncertain_drafts_only_the_first_are_checked() -> None:
    choice = drafts_that_pay(
        [0.9, 0.9, 0.1, 0.1], priced(0.04, 0.02, 0.01), in_rounds=True, usual_run=1
    )
    assert choice.drafts == 2


@given(RATES, PRICES, st.booleans(), st.floats(1, 100))
def test_no_more_drafts_than_there_are(
    rates: list[float], prices: RoundPrices, in_rounds: bool, run: float
) -> None:
    choice = drafts_that_pay(rates, prices, in_rounds=in_rounds, usual_run=run)
    assert 0 <= choice.drafts <= len(rates)


@given(RATES, SECONDS, SECONDS, st.booleans(), st.floats(1, 100))
def test_where_a_row_costs_a_token_rounds_never_pay(
    rates: list[float], token_s: float, base_s: float, in_rounds: bool, run: float
) -> None:
    prices = priced(token_s, base_s, token_s)
    assert drafts_that_pay(rates, prices, in_rounds=in_rounds, usual_run=run).drafts == 0


@given(RATES, PRICES, st.floats(1, 100))
def test_rounds_that_were_worth_beginning_are_worth_going_on_with(
    rates: list[float], prices: RoundPrices, run: float
) -> None:
    if drafts_that_pay(rates, prices, in_rounds=False, usual_run=run).drafts:
        assert drafts_that_pay(rates, prices, in_rounds=True, usual_run=run).drafts


@given(RATES, PRICES, st.floats(0.0, 1.0))
def test_better_drafts_are_worth_no_less(
    rates: list[float], prices: RoundPrices, better: float
) -> None:
    raised = [max(rate, better) for rate in rates]
    assert best_round(raised, prices, 1.0).gain >= best_round(rates, prices, 1.0).gain


@given(RATES, SECONDS, SECONDS, SECONDS, SECONDS, st.sampled_from([0.5, 2.0, 16.0]))
def test_only_the_ratio_of_times_matters(
    rates: list[float], token_s: float, base_s: float, row_s: float, return_s: float, scale: float
) -> None:
    one = priced(token_s, base_s, row_s, return_s)
    other = priced(scale * token_s, scale * base_s, scale * row_s, scale * return_s)
    assert best_round(rates, one, 1.0).drafts == best_round(rates, other, 1.0).drafts


@given(RATES, PRICES)
def test_the_best_round_is_the_best(rates: list[float], prices: RoundPrices) -> None:
    best = best_round(rates, prices, 0.0)
    for drafts in range(1, len(rates) + 1):
        tokens, spent_s = expected_tokens(rates[:drafts]), prices.round_s(drafts + 1)
        assert best.gain >= tokens * prices.token_s / spent_s
    assert rates or best == RoundChoice(0, 0.0)


class SimulatedEngine:
    """An engine on which one answer runs by the rule's choices; times are in seconds."""

    def __init__(self, *, token_s: float, base_s: float, row_s: float, return_s: float) -> None:
        self.prices = priced(token_s, base_s, row_s)
        self.return_s = return_s
        self.now = 0.0

    def answer(self, rule: RoundEconomy, tokens: int, right_of_ten: int, drafts: int = 8) -> float:
        """The time that the answer takes, whose drafts are all wrong or all right for so many of
        ten positions in turn."""
        began, done, streaming, fresh = self.now, 0, True, True
        while done < tokens:
            right = done // 8 % 10 < right_of_ten
            count = rule.drafts(drafts, self.now) if not (streaming and fresh) else 0
            if count:
                seconds, given = self.prices.round_s(count + 1), count + 1 if right else 1
                self.now += seconds
                rule.round(count + 1, given, seconds, self.now)
                rule.compared([True] * count if right else [False])
                done, streaming = done + given, False
                continue
            fresh = not streaming
            seconds = self.prices.token_s + (self.return_s if fresh else 0.0)
            self.now += seconds
            if fresh:
                rule.returned(seconds, self.now)
            elif done:
                rule.streamed(1, seconds, self.now)
            rule.compared([right])
            done, streaming, fresh = done + 1, True, False
        return self.now - began


def test_rounds_are_found_where_they_pay() -> None:
    engine = SimulatedEngine(token_s=0.036, base_s=0.04, row_s=0.01, return_s=0.02)
    costs = RoundCosts()
    spent_s = engine.answer(RoundEconomy(costs), 2000, right_of_ten=10)
    assert spent_s < 0.6 * 2000 * 0.036


@pytest.mark.parametrize("right_of_ten", [0, 3, 10])
@pytest.mark.parametrize("row_s", [0.006, 0.02])
def test_where_rounds_do_not_pay_nearly_nothing_is_lost(row_s: float, right_of_ten: int) -> None:
    engine, costs = (
        SimulatedEngine(token_s=0.006, base_s=0.02, row_s=row_s, return_s=0.02),
        RoundCosts(),
    )
    spent_s = sum(engine.answer(RoundEconomy(costs), 200, right_of_ten) for _ in range(50))
    assert spent_s < 1.02 * 50 * 200 * 0.006 + 0.7


def test_they_come_back_when_conditions_change() -> None:
    engine = SimulatedEngine(token_s=0.02, base_s=0.1, row_s=0.02, return_s=0.02)
    costs = RoundCosts()
    for _ in range(20):
        engine.answer(RoundEconomy(costs), 200, right_of_ten=10)
    engine.prices = priced(0.02, 0.02, 0.004)
    for _ in range(30):
        spent_s = engine.answer(RoundEconomy(costs), 200, right_of_ten=10)
    assert spent_s < 0.7 * 200 * 0.02
