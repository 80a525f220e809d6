"""A gateway and a pool of another namespace come together by the values in docs/kubernetes.md."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.charts.helm import Rendering, render
from tests.charts.network.policies import allowed
from tests.charts.pods import Pod, pods
from tests.servers import CHECKOUT

pytestmark = pytest.mark.helm
OURS, THEIRS = "tierflow", "site-a"
HTTP, DRAFTS = 8000, 8001


def documented() -> tuple[dict[str, Any], dict[str, Any]]:
    """The values of the gateway's release and of the pool's."""
    text = (CHECKOUT / "docs/kubernetes.md").read_text()
    section = text.partition("### Pools of other namespaces\n")[2].partition("\n## ")[0]
    ours, theirs = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    return yaml.safe_load(ours), yaml.safe_load(theirs)


def pool(**changed: Any) -> Rendering:
    values = documented()[1] | changed
    return render(values, chart="model-pool", release="site-a", namespace=THEIRS)


def gateway() -> Rendering:
    return render(documented()[0], namespace=OURS)


def one(rendering: Rendering, component: str) -> Pod:
    (found,) = [each for each in pods(rendering) if each.component == component]
    return found


def reached(ours: Rendering, theirs: Rendering) -> set[int]:
    """The engine's ports that the gateway reaches, with the policies of both in force."""
    policies = [*ours.of_kind("NetworkPolicy"), *theirs.of_kind("NetworkPolicy")]
    source, target = one(ours, "gateway"), one(theirs, "engine")
    return {port for port in (HTTP, DRAFTS) if allowed(policies, source, target, port)}


def secret(pod: Pod, variable: str) -> tuple[str, str]:
    """Name and key of the Secret behind a variable."""
    (found,) = [
        each["valueFrom"]["secretKeyRef"]
        for container in pod.containers
        for each in container.get("env", ())
        if each["name"] == variable
    ]
    return found["name"], found["key"]


def test_the_gateway_looks_there_and_may() -> None:
    ours, theirs = gateway(), pool()
    (text,) = [
        each["data"]["gateway.yaml"]
        for each in ours.of_kind("ConfigMap")
        if "gateway.yaml" in each["data"]
    ]
    discovery = yaml.safe_load(text)["discovery"]
    assert set(discovery["namespaces"]) == {OURS, THEIRS}
    labels = theirs.one("Service", "site-a")["metadata"]["labels"]
    assert discovery["selector"].items() <= labels.items()
    assert {each["metadata"]["namespace"] for each in ours.of_kind("Role")} == {OURS, THEIRS}


def test_the_gateway_reaches_the_engines_there() -> None:
    assert reached(gateway(), pool()) == {HTTP, DRAFTS}


def test_without_being_let_in_it_does_not() -> None:
    assert reached(gateway(), pool(networkPolicy={})) == set()


def test_a_gateway_that_does_not_name_the_namespace_does_not() -> None:
    assert reached(render(namespace=OURS), pool()) == set()


def test_both_sides_have_one_secret_for_drafts() -> None:
    theirs = pool()
    assert secret(one(gateway(), "gateway"), "TIERFLOW_GATEWAY_DISCOVERY__MAILBOX_SECRET") == (
        secret(one(theirs, "engine"), "TIERFLOW_DRAFT_SECRET")
    )
    assert not list(theirs.of_kind("Secret"))


def test_the_same_values_let_a_release_without_a_gateway_join() -> None:
    shared = {key: each for key, each in documented()[1].items() if key not in ("pool", "tier")}
    values = {"gateway": {"enabled": False}, "model-pool": shared, "pools": {"cloud": None}}
    assert reached(gateway(), render(values, release="site-a", namespace=THEIRS)) == {HTTP, DRAFTS}
