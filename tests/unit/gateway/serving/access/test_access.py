from __future__ import annotations

from typing import Any

import pytest

from gateway.core.access.key import ANONYMOUS, Identity, Scope
from gateway.core.privacy import PrivacyRule
from gateway.core.tier import Tier
from gateway.core.types import Caller, Demands, InferenceRequest
from gateway.errors import InvalidKey, OutOfScope, QuotaExceeded, QuotaSpent
from tests.unit.gateway.access_rig import NOW, AccessRig, api_key, digest, secret
from tests.unit.gateway.build import request

pytestmark = pytest.mark.anyio


async def shown(rig: AccessRig, name: str = "team-a") -> Identity:
    return await rig.access.identify(f"Bearer {secret(name)}")


def asked(identity: Identity, model: str = "rill-edge", **fields: Any) -> InferenceRequest:
    caller = Caller(id=identity.id, key=identity.key, scope=identity.scope)
    return request(model, caller=caller, **fields)


async def refusal(rig: AccessRig, authorization: str) -> InvalidKey:
    with pytest.raises(InvalidKey) as raised:
        await rig.access.identify(authorization)
    assert raised.value.code == "invalid_api_key"
    return raised.value


async def test_a_key_says_who_calls() -> None:
    rig = AccessRig(api_key("team-a"), api_key("team-b"))
    assert (await shown(rig, "team-b")).key == "team-b"


async def test_only_the_key_itself_is_good_and_not_its_digest() -> None:
    rig = AccessRig(api_key())
    for wrong in (digest("team-a"), secret("team-a")[:-1], secret("team-a") + "x"):
        await refusal(rig, f"Bearer {wrong}")
    assert "Authorization" in (await refusal(rig, "")).message
    await refusal(rig, f"Basic {secret('team-a')}")


async def test_without_keys_everybody_may_ask() -> None:
    assert await AccessRig().access.identify("") is ANONYMOUS
    assert await AccessRig().access.identify("Bearer anything") is ANONYMOUS


async def test_a_key_that_is_no_longer_good_is_refused_even_where_none_is_needed() -> None:
    rig = AccessRig(required=False)
    await refusal(rig, f"Bearer {secret('revoked')}")


async def test_a_devices_token_is_good_where_keys_are_required() -> None:
    rig = AccessRig(api_key())
    assert (await rig.access.identify("Bearer device")).id == "device phone"
    await refusal(rig, "Bearer other")


async def test_a_key_expires() -> None:
    rig = AccessRig(api_key(expires=NOW + 10))
    assert (await shown(rig)).key == "team-a"
    rig.unix_time = NOW + 10
    await refusal(rig, f"Bearer {secret('team-a')}")


async def test_during_a_rotations_grace_both_keys_are_good() -> None:
    rig = AccessRig(api_key(previous=digest("old"), previous_until=NOW + 60))
    assert (await shown(rig, "old")).key == (await shown(rig)).key == "team-a"
    rig.unix_time = NOW + 60
    await refusal(rig, f"Bearer {secret('old')}")
    assert (await shown(rig)).key == "team-a"


async def test_a_key_that_is_taken_away_is_refused_at_once() -> None:
    rig = AccessRig(api_key("fixed"))
    rig.keys.replace([api_key()])
    assert (await shown(rig)).key == "team-a"
    rig.keys.replace([])
    await refusal(rig, f"Bearer {secret('team-a')}")
    assert (await shown(rig, "fixed")).key == "fixed"


async def test_a_name_of_the_settings_can_not_be_taken_over() -> None:
    rig = AccessRig(api_key("fixed"))
    rig.keys.replace([api_key("fixed", digest=digest("intruder"))])
    await refusal(rig, f"Bearer {secret('intruder')}")


@pytest.mark.parametrize(
    ("scope", "model", "code"),
    [
        (Scope(models=frozenset({"rill-edge"})), "rill-cloud", "model_not_allowed"),
        (Scope(models=frozenset({"rill-edge"})), "tierflow-auto", "model_not_allowed"),
        (Scope(ways=frozenset({"plain"})), "tierflow-cascade", "way_not_allowed"),
        (Scope(ways=frozenset({"plain"})), "tierflow-collective", "way_not_allowed"),
        (Scope(ways=frozenset({"cascade"})), "rill-edge", "way_not_allowed"),
    ],
)
async def test_a_key_is_refused_what_it_is_not_for(scope: Scope, model: str, code: str) -> None:
    rig = AccessRig(api_key(scope=scope))
    admitted, _ = rig.access.admit(asked(await shown(rig), model), await shown(rig))
    assert admitted.fault is not None and admitted.fault.code == code
    assert rig.telemetry.refusals == [("team-a", code)]


async def test_a_key_can_not_demand_a_model_that_it_is_not_for_by_its_quality() -> None:
    rig = AccessRig(api_key(scope=Scope(models=frozenset({"tierflow-auto", "rill-edge"}))))
    identity = await shown(rig)
    faults = [
        rig.access.admit(asked(identity, "tierflow-auto", min_quality=name), identity)[0].fault
        for name in ("rill-edge", "rill-cloud")
    ]
    assert faults[0] is None and isinstance(faults[1], OutOfScope)
    assert (faults[1].code, faults[1].param) == ("model_not_allowed", "x-tierflow-min-quality")


async def test_a_key_is_for_the_privacy_classes_of_its_scope() -> None:
    rig = AccessRig(api_key(scope=Scope(privacy=frozenset({"owner", "private"}))))
    identity = await shown(rig)
    rule = PrivacyRule.of(owner_tiers=[Tier.EDGE], private_tiers=[])
    faults = {
        name: rig.access.admit(asked(identity, privacy=terms), identity)[0].fault
        for name, terms in rule.classes.items()
    }
    assert faults["owner"] is None and faults["private"] is None
    assert faults["public"] is not None and faults["public"].code == "privacy_not_allowed"


@pytest.mark.parametrize(("priority", "code"), [(0, None), (5, None), (6, "priority_not_allowed")])
async def test_no_key_gets_before_all_others(priority: int, code: str | None) -> None:
    rig = AccessRig(api_key())
    identity = await shown(rig)
    demands = Demands(priority=priority)
    fault = rig.access.admit(asked(identity, demands=demands), identity)[0].fault
    assert getattr(fault, "code", None) == code


async def test_models_of_other_tiers_are_not_listed() -> None:
    rig = AccessRig(api_key(scope=Scope(tiers=frozenset({"edge"}))))
    identity = await shown(rig)
    assert rig.access.may_ask(identity, "rill-edge", "edge")
    assert not rig.access.may_ask(identity, "rill-cloud", "cloud")
    assert rig.access.may_ask(identity, "tierflow-auto", None)


async def test_a_quota_refuses_and_tells_when_to_come_again() -> None:
    rig = AccessRig(api_key(requests_per_min=2))
    identity = await shown(rig)
    for _ in range(2):
        admitted, permit = rig.access.admit(asked(identity), identity)
        assert admitted.fault is None
        with permit:
            pass
    admitted, permit = rig.access.admit(asked(identity), identity)
    assert isinstance(admitted.fault, QuotaExceeded)
    assert admitted.fault.code == "rate_limit_exceeded"
    assert admitted.fault.retry_after == pytest.approx(30.0)
    with permit:
        pass
    assert rig.quotas.uses[api_key().identity.owner].in_flight == 0


async def test_a_spent_day_is_told_from_a_busy_minute() -> None:
    rig = AccessRig(api_key(tokens_per_min=1000, tokens_per_day=300))
    identity = await shown(rig)
    _, permit = rig.access.admit(asked(identity, max_tokens=300), identity)
    admitted, _ = rig.access.admit(asked(identity, max_tokens=300), identity)
    assert isinstance(admitted.fault, QuotaSpent) and admitted.fault.code == "insufficient_quota"


async def test_a_place_is_free_again_when_the_last_block_has_ended() -> None:
    rig = AccessRig(api_key(in_flight=1))
    identity = await shown(rig)
    _, permit = rig.access.admit(asked(identity), identity)
    with permit:
        with permit:
            pass
        assert rig.quotas.uses[api_key().identity.owner].in_flight == 1
    assert rig.quotas.uses[api_key().identity.owner].in_flight == 0


async def test_two_keys_do_not_share_their_quotas() -> None:
    rig = AccessRig(api_key("team-a", requests_per_min=1), api_key("team-b", requests_per_min=1))
    for name in ("team-a", "team-b"):
        identity = await shown(rig, name)
        assert rig.access.admit(asked(identity), identity)[0].fault is None


async def test_a_name_that_is_made_anew_pays_no_debt_of_the_one_before() -> None:
    rig, left = AccessRig(), []
    for created in (NOW, NOW, NOW + 1):
        rig.keys.replace([api_key(requests_per_min=1, created=created)])
        identity = await shown(rig)
        left.append(rig.access.admit(asked(identity), identity)[0].fault is None)
    assert left == [True, False, True]


async def test_what_a_key_is_told_is_its_own() -> None:
    rig = AccessRig(api_key(requests_per_min=60))
    told = dict(rig.access.headers(await shown(rig)))
    assert told[b"x-ratelimit-remaining-requests"] == b"60"
    assert rig.access.headers(ANONYMOUS) == ()
