"""Every object is what Kubernetes' own schemas allow, in each version that the charts are made for.

Schemas are strict: a field that no API knows is a failure.
"""

from collections.abc import Iterator
from functools import lru_cache

import kubernetes_validate
import pytest
from kubernetes_validate import utils

from k8s.preflight.judgements.machines import NEWEST, OLDEST
from k8s.preflight.rendering import Object
from tests.charts.cases import DEPLOYMENTS, every_rendering, rendered

pytestmark = pytest.mark.helm
VERSIONS = [
    f"{major}.{minor}" for major, minor in ((1, m) for m in range(OLDEST[1], NEWEST[1] + 1))
]
IN_EVERY_VERSION = ["defaults", *(f"deploy/{name}" for name in DEPLOYMENTS)]

CUSTOM_KINDS = {
    ("keda.sh/v1alpha1", "ScaledObject"): {"scaleTargetRef", "triggers"},
    ("monitoring.coreos.com/v1", "ServiceMonitor"): {"selector", "endpoints"},
    ("monitoring.coreos.com/v1", "PodMonitor"): {"selector", "podMetricsEndpoints"},
    ("monitoring.coreos.com/v1", "PrometheusRule"): {"groups"},
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): {"parentRefs", "rules"},
    ("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet"): {"leaderWorkerTemplate"},
}
"""Kinds that Kubernetes itself does not bring, with what their specification must have."""


@pytest.fixture(scope="module", autouse=True)
def schemas_are_read_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "schema_contents", lru_cache(maxsize=None)(utils.schema_contents))
        yield


def check(each: Object, version: str) -> None:
    required = CUSTOM_KINDS.get((each["apiVersion"], each["kind"]))
    if required is None:
        kubernetes_validate.validate(each, version, strict=True)
    else:
        assert required <= each["spec"].keys(), each["metadata"]["name"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", IN_EVERY_VERSION)
def test_what_we_ship_is_valid_in_each_version(name: str, version: str) -> None:
    for each in rendered(name).objects:
        check(each, version)


@pytest.mark.parametrize("version", [VERSIONS[0], VERSIONS[-1]])
@every_rendering
def test_every_optional_part_is_valid_in_the_oldest_and_the_newest_version(
    name: str, version: str
) -> None:
    for each in rendered(name).objects:
        check(each, version)


def test_a_field_that_no_version_knows_is_noticed() -> None:
    wrong = dict(rendered("defaults").one("Service", "tierflow-gateway"))
    wrong["spec"] = {**wrong["spec"], "colour": "red"}
    with pytest.raises(kubernetes_validate.ValidationError):
        check(wrong, VERSIONS[-1])
