"""Values that are right each for itself, and wrong together or in their number."""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.reference.settings import Setting, sections
from gateway.core.tier import Tier
from gateway.settings import settings_problems

EDGE = '  edge: {tier: edge, endpoints: ["http://127.0.0.1:1"], models: [small]}\n'
CLOUD = '  cloud: {tier: cloud, endpoints: ["http://127.0.0.1:2"], models: [large]}\n'
GOOD = f"family: [device, small, large]\npools:\n{EDGE}{CLOUD}"


def numbers() -> Iterator[Setting]:
    for section in sections():
        for setting in section.settings:
            if _kinds(setting.shape) & {int, float} and "[]" not in setting.path:
                if "<name>" not in setting.path:
                    yield setting


def _kinds(shape: Any) -> set[Any]:
    if get_origin(shape) in (Union, UnionType, Annotated):
        return {kind for member in get_args(shape) for kind in _kinds(member)}
    return {shape} if isinstance(shape, type) else set()


def with_value(path: str, value: str) -> str:
    opening = "".join(f"{{{name}: " for name in path.split(".")[1:])
    return f"{GOOD}{path.split('.')[0]}: {opening}{value}{'}' * path.count('.')}\n"


@pytest.mark.parametrize("setting", list(numbers()), ids=lambda setting: setting.path)
def test_no_number_may_be_without_end_or_a_switch(setting: Setting) -> None:
    for value in (".inf", "-.inf", ".nan", "1.0e+300", "1" + "0" * 30):
        assert settings_problems(with_value(setting.path, value), {}), value
    if bool not in _kinds(setting.shape):
        problems = settings_problems(with_value(setting.path, "yes"), {})
        told = [problem for problem in problems if problem.startswith(f"{setting.path}: ")]
        assert told and told[0].endswith("got true"), problems


def test_a_time_is_ten_years_at_most() -> None:
    assert settings_problems(GOOD + "timeouts: {idle_s: 316224001}", {}) == (
        "timeouts.idle_s: expected 316224000 or less, got 316224001",
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            GOOD + EDGE.replace("edge:", "more:"),
            "pools.more.endpoints: http://127.0.0.1:1 stands in pools.edge already; list it once",
        ),
        (
            GOOD.replace('"http://127.0.0.1:2"', '"http://h", "https://h"'),
            "pools.cloud.endpoints: https://h stands in pools.cloud already; list it once",
        ),
        (
            GOOD.replace('"http://127.0.0.1:2"', '"http://h", "http://h:80"'),
            "pools.cloud.endpoints: http://h:80 stands in pools.cloud already",
        ),
        (
            GOOD.replace('"http://127.0.0.1:2"', '"http://h:1", "http://H:1/"'),
            "pools.cloud: endpoints: 'http://h:1' stands there twice; list it once",
        ),
        (GOOD.replace("[device", "[small"), "family: 'small' stands there twice; list it once"),
        (GOOD.replace("[device", "[''"), "family: entry 1 is empty; write a name"),
        (GOOD.replace("[device", "[' device'"), "family: ' device' has spaces around it"),
        (GOOD + "privacy: {owner_tiers: [edge, edge]}", "owner_tiers: 'edge' stands there twice"),
        (
            GOOD + "operations: {port: 8080}",
            "operations.port: 8080 is listen.port too; take another one",
        ),
        (
            GOOD + "ejection: {first_pause_s: 5, longest_pause_s: 3}",
            "ejection.first_pause_s: 5 is longer than ejection.longest_pause_s, 3",
        ),
    ],
)
def test_what_can_not_be_together_is_named(text: str, sentence: str) -> None:
    (problem,) = settings_problems(text, {})
    assert sentence in problem


TIERS = {
    "tierflow-edge": Tier.EDGE,
    "tierflow-cloud": Tier.CLOUD,
    "small": Tier.EDGE,
    "large": Tier.CLOUD,
}


@given(st.lists(st.sampled_from(sorted(TIERS)), min_size=2, max_size=4))
def test_stages_of_a_cascade_go_up_and_none_is_asked_twice(models: list[str]) -> None:
    stages = ", ".join(f"{{model: {model}}}" for model in models)
    problems = settings_problems(f"{GOOD}cascade: {{stages: [{stages}]}}", {})
    ranks = [TIERS[model].rank for model in models]
    rising = ranks == sorted(ranks) and len(set(models)) == len(models)
    assert bool(problems) != rising
    assert all(problem.startswith("cascade.stages") for problem in problems)


@pytest.mark.parametrize(
    ("stages", "sentence"),
    [
        (
            "{model: tierflow-cloud}, {model: tierflow-edge}",
            "cascade.stages: 'tierflow-cloud' stands before 'tierflow-edge'; list the lowest tier "
            "first",
        ),
        (
            "{model: tierflow-edge}, {model: tierflow-edge}",
            "cascade.stages.1.model: 'tierflow-edge' is stage 0 already; a cascade asks each model "
            "once",
        ),
        # Where no pool lists them, the family says which is the smaller one.
        ("{model: small}, {model: device}", "cascade.stages: 'small' stands before 'device'"),
    ],
)
def test_a_cascade_in_the_wrong_order_says_which_stage(stages: str, sentence: str) -> None:
    (problem,) = settings_problems(f"{GOOD}cascade: {{stages: [{stages}]}}", {})
    assert problem.startswith(sentence)


def test_stages_whose_order_nobody_knows_are_left_alone() -> None:
    for stages in ("{model: one}, {model: other}", "{device: any}, {model: small}"):
        assert settings_problems(f"{GOOD}cascade: {{stages: [{stages}]}}", {}) == ()


@pytest.mark.parametrize(
    ("chains", "sentence"),
    [
        ("{models: {tierflow-x: [cloud, edge]}}", "chains.models.tierflow-x: list the lowest tier"),
        ("{models: {tierflow-x: [edge, edge]}}", "chains.models.tierflow-x: edge stands there"),
        (
            "{models: {tierflow-auto: [edge, cloud]}}",
            "chains.models.tierflow-auto: tierflow-auto",
        ),
        ("{models: {tierflow-x: [edge, tierflow-cloud]}}", "chains.models.tierflow-x: tierflow-cl"),
        (
            "{auto: tierflow-y}",
            "chains.auto: no chain is called 'tierflow-y'; known: tierflow-edge",
        ),
    ],
)
def test_a_chain_that_can_not_be_says_what_is_wrong(chains: str, sentence: str) -> None:
    problems = settings_problems(f"{GOOD}chains: {chains}", {})
    assert problems[0].startswith(sentence)


def test_chains_of_tiers_and_models_are_taken() -> None:
    chains = "{models: {tierflow-x: [edge, cloud]}, auto: tierflow-x}"
    assert settings_problems(f"{GOOD}chains: {chains}", {}) == ()
