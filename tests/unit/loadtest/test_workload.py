from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.measure.command import BenchmarkFailure
from loadtest.workload import VARIABLES, bodies, parse_models, read_workload


def test_without_variables_the_defaults_hold() -> None:
    workload = read_workload({})
    assert workload.url == "http://127.0.0.1:8080"
    assert workload.users == 4
    assert set(workload.models) == {"tierflow-auto", "tierflow-edge", "tierflow-cloud"}


def test_empty_variables_count_as_absent() -> None:
    assert read_workload(dict.fromkeys(VARIABLES, "")) == read_workload({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TIERFLOW_URL", "localhost:8080"),
        ("TIERFLOW_URL", "ftp://host"),
        ("TIERFLOW_LOAD_USERS", "2.5"),
        ("TIERFLOW_LOAD_USERS", "0"),
        ("TIERFLOW_LOAD_RATE", "fast"),
        ("TIERFLOW_LOAD_RATE", "nan"),
        ("TIERFLOW_LOAD_SECONDS", "-1"),
        ("TIERFLOW_LOAD_SECONDS", "inf"),
        ("TIERFLOW_LOAD_PAUSE", "-0.5"),
        ("TIERFLOW_LOAD_MODELS", "a:0"),
        ("TIERFLOW_LOAD_MODELS", ","),
        ("TIERFLOW_LOAD_MODELS", ":2"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(name: str, value: str) -> None:
    with pytest.raises(BenchmarkFailure, match=f"{name}={value}"):
        read_workload({name: value})


def test_a_pause_of_zero_is_allowed() -> None:
    assert read_workload({"TIERFLOW_LOAD_PAUSE": "0"}).pause_s == 0.0


names = st.text("abcdefghij-./", min_size=1, max_size=12)
weights = st.floats(0.125, 64, width=16)


@given(st.dictionaries(names, weights, min_size=1, max_size=5))
def test_model_weights_are_read_as_they_are_written(models: dict[str, float]) -> None:
    assert parse_models(", ".join(f"{name}:{weight}" for name, weight in models.items())) == models


def test_a_model_without_weight_has_weight_one() -> None:
    assert parse_models("a,b:3") == {"a": 1.0, "b": 3.0}


def test_a_user_asks_the_same_for_the_same_seed_and_users_differ() -> None:
    workload = read_workload({"TIERFLOW_LOAD_SEED": "7"})
    first, again, other = (list(islice(bodies(workload, user), 20)) for user in (0, 0, 1))
    assert first == again
    assert first != other


def test_models_are_asked_by_their_weights() -> None:
    workload = read_workload({"TIERFLOW_LOAD_MODELS": "often:99,seldom:1"})
    asked = [body["model"] for body in islice(bodies(workload, 0), 500)]
    assert asked.count("often") > 450
    assert "seldom" in asked
