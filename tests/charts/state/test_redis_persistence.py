"""What Redis holds outlives its container, and where that is wished its pod."""

from __future__ import annotations

from typing import Any

import pytest

from tests.charts.cases import rendered
from tests.charts.helm import Rendering, render

pytestmark = pytest.mark.helm
KEPT = {"redis": {"persistence": {"enabled": True, "size": "2Gi", "storageClass": "fast"}}}


def volume(rendering: Rendering) -> dict[str, Any]:
    (redis,) = (
        one for one in rendering.of_kind("Deployment") if one["metadata"]["name"].endswith("redis")
    )
    volumes = redis["spec"]["template"]["spec"]["volumes"]
    (data,) = (one for one in volumes if one["name"] == "data")
    found: dict[str, Any] = data
    return found


def test_what_devices_were_enrolled_is_kept_without_a_word() -> None:
    (claim,) = [one for one in claims(rendered("defaults")) if "redis" in one["metadata"]["name"]]
    kept = volume(rendered("defaults"))["persistentVolumeClaim"]["claimName"]
    assert kept == claim["metadata"]["name"]


def test_without_persistence_no_claim_is_asked_of_the_cluster() -> None:
    rendering = render({"redis": {"persistence": {"enabled": False}}})
    assert "emptyDir" in volume(rendering)
    assert claims(rendering) == []


def test_with_persistence_the_file_is_on_a_claim_that_uninstalling_keeps() -> None:
    rendering = render(KEPT)
    (claim,) = claims(rendering)
    assert volume(rendering)["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "2Gi"
    assert claim["spec"]["storageClassName"] == "fast"
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_a_claim_of_ones_own_is_taken_and_none_is_made() -> None:
    rendering = render({"redis": {"persistence": {"enabled": True, "existing": "mine"}}})
    assert volume(rendering)["persistentVolumeClaim"]["claimName"] == "mine"
    assert claims(rendering) == []


def claims(rendering: Rendering) -> list[dict[str, Any]]:
    return list(rendering.of_kind("PersistentVolumeClaim"))
