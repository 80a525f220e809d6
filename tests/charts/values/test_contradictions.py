"""Values that can't work stop the render, with a sentence that says what to change."""

import re
from typing import Any

import pytest

from tests.charts.helm import Refusal, render
from tests.charts.pods import pods
from tests.charts.values.contradictions import CONTRADICTIONS, HUB, edge, gateway

pytestmark = pytest.mark.helm


@pytest.mark.parametrize("values", [gateway(image={"tag": "latest"}), edge(replicas=2, **HUB)])
def test_a_sentence_comes_from_a_file_that_is_named_for_it(values: dict[str, Any]) -> None:
    with pytest.raises(Refusal) as refused:
        render(values)
    assert "templates/validation/values.yaml:" in str(refused.value)


@pytest.mark.parametrize(
    ("values", "words"), CONTRADICTIONS, ids=[words[:60] for _, words in CONTRADICTIONS]
)
def test_contradicting_values_are_refused_with_what_to_change(
    values: dict[str, Any], words: str
) -> None:
    with pytest.raises(Refusal) as refused:
        render(values)
    assert words in str(refused.value)


@pytest.mark.parametrize("chart", ["tierflow", "model-pool", "gateway"])
@pytest.mark.parametrize("release", ["a.b", "1st"])
def test_a_release_whose_name_no_service_can_have_needs_another_for_its_objects(
    chart: str, release: str
) -> None:
    pool = {"pool": "mine"} if chart == "model-pool" else {}
    if pool:
        with pytest.raises(Refusal, match="32 at most; give it one with `pool`|no Service can be"):
            render(chart=chart, release=release)
    with pytest.raises(Refusal, match=r"no Service can be called .*; set global\.fullnameOverride"):
        render(pool, chart=chart, release=release)
    values = pool | {"global": {"fullnameOverride": "ours"}}
    renamed = render(values, chart=chart, release=release)
    names = {each["metadata"]["name"] for each in renamed.of_kind("Service")}
    assert names
    assert all(re.fullmatch("ours[-a-z]*", name) for name in names)


def test_pools_may_share_an_account_that_exists_already() -> None:
    account = {"create": False, "name": "x"}
    found = render({"model-pool": {"serviceAccount": account}})
    users = [pod for pod in pods(found) if pod.spec.get("serviceAccountName") == "x"]
    assert {pod.component for pod in users} == {"engine"}
    assert not found.has("ServiceAccount", "x")
