"""Policies open no more than is named: the API server, DNS, the hub, Redis."""

from __future__ import annotations

from typing import Any

import pytest

from k8s.preflight.rendering import Object
from tests.charts.cases import rendered
from tests.charts.helm import Refusal, render

pytestmark = pytest.mark.helm
PEER = {"ipBlock": {"cidr": "192.0.2.0/24"}}
MIRROR = {"model": {"hub": "owner/model"}, "download": {"endpoint": "http://mirror.example:8080"}}


def egress(policy: Object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = policy["spec"]["egress"]
    return found


def ports(rule: dict[str, Any]) -> set[tuple[str, int]]:
    return {(port["protocol"], port["port"]) for port in rule["ports"]}


def test_the_api_server_is_where_it_is_said_to_be() -> None:
    named = {"ports": [16443], "cidrs": ["192.0.2.7/32", "2001:db8::7/128"]}
    values = {"networkPolicy": {"apiServer": named}}
    policy = render(values, chart="gateway").one("NetworkPolicy", "tierflow-gateway")
    (rule,) = [one for one in egress(policy) if ("TCP", 16443) in ports(one)]
    assert ports(rule) == {("TCP", 16443)}
    assert [peer["ipBlock"]["cidr"] for peer in rule["to"]] == named["cidrs"]


def test_without_a_port_of_the_api_server_no_policy_is_made() -> None:
    with pytest.raises(Refusal, match="networkPolicy.apiServer.ports"):
        render({"networkPolicy": {"apiServer": {"ports": None}}}, chart="gateway")


def test_names_are_asked_for_at_the_ports_and_peers_that_are_named() -> None:
    dns = {"dns": {"ports": [5353], "to": [PEER]}}
    found = render({"global": dns, "pools": {"edge": MIRROR}})
    for name in ("tierflow-gateway", "tierflow-gateway-test", "tierflow-edge"):
        rules = egress(found.one("NetworkPolicy", name))
        (rule,) = [one for one in rules if ("UDP", 5353) in ports(one)]
        assert ports(rule) == {("UDP", 5353), ("TCP", 5353)}
        assert rule["to"] == [PEER]
        assert not [one for one in rules if ("UDP", 53) in ports(one)]


def test_openshifts_profile_asks_its_dns_and_leaves_users_to_the_namespace() -> None:
    found = rendered("deploy/openshift")
    rules = egress(found.one("NetworkPolicy", "tierflow-gateway"))
    assert [one for one in rules if ("UDP", 5353) in ports(one)]
    for name in ("gateway", "edge", "redis"):
        context = found.one("Deployment", f"tierflow-{name}")["spec"]["template"]["spec"][
            "securityContext"
        ]
        assert context["runAsNonRoot"] is True
        assert not context.keys() & {"runAsUser", "runAsGroup", "fsGroup"}


def test_a_pool_reaches_the_hub_where_it_is_named_to_be_and_not_once_that_is_shut() -> None:
    named = {"networkPolicy": {"hub": {"to": [PEER]}}}
    found = render({"pools": {"edge": MIRROR | named}})
    rules = egress(found.one("NetworkPolicy", "tierflow-edge"))
    (rule,) = [one for one in rules if ("TCP", 8080) in ports(one)]
    assert rule["to"] == [PEER]
    shut = {"networkPolicy": {"hub": {"open": False}}}
    found = render({"pools": {"edge": MIRROR | shut}})
    assert egress(found.one("NetworkPolicy", "tierflow-edge")) == []


def test_a_gateway_that_has_no_redis_is_let_out_to_none() -> None:
    for secret, opened in (("mine", True), ("", False)):
        values = {"state": {"existingSecret": secret}}
        policy = render(values, chart="gateway").one("NetworkPolicy", "tierflow-gateway")
        assert any(("TCP", 6379) in ports(one) for one in egress(policy)) is opened
