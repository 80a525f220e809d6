"""Registries: open ones, those with tokens for anybody, and those that give no answer."""

from __future__ import annotations

import pytest

from tests.integration.preflight.cluster import IMAGE, index, listed, manifest_path, node
from tests.integration.preflight.conftest import Outcome, Preflight
from tests.stand_in import Answer, Request, Silence, StandIn

pytestmark = pytest.mark.integration
TOKEN = "for-anybody"


@pytest.fixture
def image(registry: StandIn) -> str:
    return f"image {registry.address}/{IMAGE}"


def row(outcome: Outcome, image: str) -> tuple[str, str]:
    return outcome.rows[image]["result"], outcome.rows[image]["found"]


def test_an_image_of_several_architectures_lists_them(preflight: Preflight, image: str) -> None:
    assert row(preflight(), image) == ("ok", "amd64, arm64")


def test_an_image_of_one_architecture_names_it_in_its_configuration(
    preflight: Preflight, registry: StandIn, image: str
) -> None:
    registry.answers[manifest_path()] = Answer({"config": {"digest": "sha256:abc"}})
    registry.answers["/v2/tierflow/engine/blobs/sha256:abc"] = Answer({"architecture": "arm64"})
    outcome = preflight()
    assert row(outcome, image) == ("missing", "exists for arm64, not for amd64")
    assert outcome.code == 1


def test_a_token_for_anybody_is_fetched_where_the_registry_wants_one(
    preflight: Preflight, registry: StandIn, image: str
) -> None:
    def guarded(request: Request) -> Answer:
        if request.headers.get("authorization") == f"Bearer {TOKEN}":
            return index("amd64")
        realm = f'Bearer realm="{registry.url}/token",service="images"'
        return Answer({}, 401, {"WWW-Authenticate": realm})

    registry.answers[manifest_path()] = guarded
    registry.answers["/token"] = Answer({"token": TOKEN})
    assert row(preflight(), image) == ("ok", "amd64")
    (asked,) = [request for request in registry.requests if request.path == "/token"]
    assert asked.query == {"service": "images", "scope": "repository:tierflow/engine:pull"}


@pytest.mark.parametrize(
    "challenge", ["", 'Basic realm="private"', 'Bearer realm="file:///etc/passwd"']
)
def test_a_registry_that_wants_credentials_leaves_the_image_unchecked(
    preflight: Preflight, registry: StandIn, image: str, challenge: str
) -> None:
    registry.answers[manifest_path()] = Answer({}, 401, {"WWW-Authenticate": challenge})
    outcome = preflight()
    result, found = row(outcome, image)
    assert result == "not checked"
    assert "credentials" in found
    assert "imagePullSecrets" in outcome.rows[image]["todo"]
    assert outcome.code == 0


def test_a_token_service_that_refuses_leaves_the_image_unchecked(
    preflight: Preflight, registry: StandIn, image: str
) -> None:
    realm = f'Bearer realm="{registry.url}/token",service="images"'
    registry.answers[manifest_path()] = Answer({}, 401, {"WWW-Authenticate": realm})
    registry.answers["/token"] = Answer({}, 403)
    assert row(preflight(), image)[0] == "not checked"


def test_an_image_that_the_registry_has_not_is_missing(
    preflight: Preflight, registry: StandIn, image: str
) -> None:
    del registry.answers[manifest_path()]
    outcome = preflight()
    assert row(outcome, image)[0] == "missing"
    assert "global.imageRegistry" in outcome.rows[image]["todo"]
    assert outcome.code == 1


def test_an_image_that_every_node_holds_need_not_be_pulled(
    preflight: Preflight, registry: StandIn, api: StandIn, image: str
) -> None:
    del registry.answers[manifest_path()]
    held = [{"names": [f"{registry.address}/{IMAGE}"]}]
    api.answers["/api/v1/nodes"] = listed(node(images=held))
    assert row(preflight(), image)[0] == "ok"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer({}, 500), "status 500"),
        (Answer(b"<html>"), "no manifest"),
        (Answer({}), "no manifest"),
    ],
)
def test_a_registry_that_gives_no_useful_answer_is_named_with_the_reason(
    preflight: Preflight, registry: StandIn, image: str, answer: Answer, words: str
) -> None:
    registry.answers[manifest_path()] = answer
    outcome = preflight()
    result, found = row(outcome, image)
    assert result == "not checked"
    assert words in found
    assert outcome.code == 0


def test_a_registry_that_hangs_costs_its_timeout_and_leaves_the_image_unchecked(
    preflight: Preflight, registry: StandIn, image: str
) -> None:
    registry.answers[manifest_path()] = Silence()
    result, found = row(preflight(timeout_s=1), image)
    assert result == "not checked"
    assert "does not answer within 1 s" in found
