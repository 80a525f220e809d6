"""A pool's routing profile is data: a gateway with one of its own keeps prompts in place."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.deployment import gateway_config
from tests.integration.fleet import Fleet, question
from tests.servers import Server, start_gateway

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def sticky(whole_fleet: Fleet) -> Iterator[Server]:
    whole_fleet.restore()
    config = gateway_config(whole_fleet.edge, [whole_fleet.cloud])
    config["pools"]["edge"]["profile"] = "sticky"
    config["profiles"] = {
        "sticky": {
            "filters": ["healthy", "serves_model"],
            "scorers": ["prefix_affinity", {"name": "session_affinity", "weight": 3}],
            "picker": "max_score",
        }
    }
    server = start_gateway(config, whole_fleet.folder)
    yield server
    server.stop()


def endpoint(fleet: Fleet, gateway: Server, text: str, session: str = "") -> str:
    headers = {"x-tierflow-session": session} if session else {}
    answer = fleet.http.post(
        gateway.url + "/v1/chat/completions",
        json=question("rill-edge", text, max_tokens=1),
        headers=headers,
    )
    assert answer.status_code == 200
    return str(answer.headers["x-tierflow-endpoint"])


def test_prompts_with_one_head_stay_with_one_endpoint(fleet: Fleet, sticky: Server) -> None:
    head = "Read this passage and answer. " * 50
    assert len({endpoint(fleet, sticky, f"{head} Question {i}") for i in range(6)}) == 1


def test_other_heads_go_to_other_endpoints(fleet: Fleet, sticky: Server) -> None:
    found = {endpoint(fleet, sticky, f"{i} question") for i in range(20)}
    assert found == {server.id for server in fleet.edge}


def test_a_session_stays_with_one_endpoint(fleet: Fleet, sticky: Server) -> None:
    found = {endpoint(fleet, sticky, f"{i} question", "alice") for i in range(12)}
    assert len(found) == 1


@pytest.mark.parametrize(
    ("profile", "named"),
    [
        ({"scorers": ["luck"]}, "luck"),
        ({"filters": ["tall"]}, "tall"),
        ({"picker": "mine"}, "mine"),
    ],
)
def test_an_unknown_name_in_a_profile_stops_the_start(
    fleet: Fleet, profile: dict[str, object], named: str
) -> None:
    config = gateway_config(fleet.edge, [fleet.cloud])
    shipped = {"filters": ["healthy"], "scorers": ["kv_use"], "picker": "max_score"}
    config["profiles"] = {"odd": shipped | profile}
    with pytest.raises(AssertionError, match="ended with 2") as caught:
        start_gateway(config, fleet.folder)
    assert named in str(caught.value)
