from __future__ import annotations

import pytest

from gateway.core.privacy import PrivacyRule
from gateway.core.tier import Tier
from gateway.core.types import EndpointState
from gateway.errors import EngineFailed, InvalidRequest, NoEndpoint
from gateway.protocol.device_link.speculation import Offer
from gateway.serving.requests.verifiers import VerifierEndpoints
from tests.unit.gateway.build import request, routing, state
from tests.unit.gateway.fakes import (
    FakeEndpoints,
    FakeVerifier,
    Recorder,
    SteppingClock,
    failover,
)


def verifiers(*states: EndpointState) -> VerifierEndpoints:
    endpoints, telemetry = FakeEndpoints(states), Recorder()
    return VerifierEndpoints(
        routing=routing(),
        endpoints=endpoints,
        verifier=FakeVerifier({}),
        clock=SteppingClock(),
        telemetry=telemetry,
        failover=failover(endpoints, telemetry),
        uniform=lambda: 0.0,
        continues=True,
        privacy=PrivacyRule.of(owner_tiers=[Tier.EDGE], private_tiers=[]),
    )


def test_one_model_of_one_tier_is_offered_once() -> None:
    states = [state(f"edge:{number}", tokenizer="f") for number in range(3)]
    found = verifiers(*states, state("cloud:1", "cloud", tokenizer="g", healthy=False))
    assert found.offers() == [
        Offer(
            tier="edge",
            model="rill-edge",
            tokenizer="f",
            per_step=8,
            privacy=("public", "owner"),
        )
    ]


def test_an_endpoint_with_the_devices_tokenizer_is_chosen() -> None:
    found = verifiers(state("edge:1", tokenizer="g"), state("edge:2", tokenizer="f"))
    choice = found.choose(request("rill-edge"), Tier.EDGE, "f", found.attempts(""))
    assert choice.state.endpoint.id == "edge:2"


@pytest.mark.parametrize(
    ("tokenizer", "code"), [("g", "tokenizer_differs"), (None, "tokenizer_unknown")]
)
def test_a_foreign_tokenizer_is_refused(tokenizer: str | None, code: str) -> None:
    found = verifiers(state("edge:1", tokenizer=tokenizer))
    with pytest.raises(InvalidRequest) as caught:
        found.choose(request("rill-edge"), Tier.EDGE, "f", found.attempts(""))
    assert caught.value.code == code


def test_a_tier_without_endpoints_is_told_from_a_foreign_tokenizer() -> None:
    found = verifiers(state("edge:1", healthy=False))
    with pytest.raises(NoEndpoint):
        found.choose(request("rill-edge"), Tier.EDGE, "f", found.attempts(""))


def test_after_a_failure_with_no_other_endpoint_the_failure_is_raised() -> None:
    found = verifiers(state("edge:1", tokenizer="f"))
    attempts = found.attempts("")
    with attempts.at(found.choose(request("rill-edge"), Tier.EDGE, "f", attempts)):
        raise EngineFailed("broke", endpoint="edge:1", code="engine_error")
    with pytest.raises(EngineFailed, match="broke"):
        found.choose(request("rill-edge"), Tier.EDGE, "f", attempts)


def test_another_attempt_keeps_the_model_that_the_device_was_told() -> None:
    found = verifiers(
        state("edge:1", tokenizer="f"),
        state("edge:2", tokenizer="f", model="another", waiting=5),
    )
    attempts = found.attempts("")
    with attempts.at(found.choose(request("tierflow-edge"), Tier.EDGE, "f", attempts)):
        raise EngineFailed("broke", endpoint="edge:1", code="engine_error")
    with pytest.raises(EngineFailed, match="broke"):
        found.choose(request("tierflow-edge"), Tier.EDGE, "f", attempts)
