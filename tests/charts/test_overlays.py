"""Values files lie over each other: pools are a map, so each file says only what it changes."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.charts.cases import DEPLOYMENTS, MONITORED
from tests.charts.helm import Rendering, render, values_of
from tests.charts.pods import pods

pytestmark = pytest.mark.helm


def layered(folder: Path, *layers: dict[str, Any]) -> Rendering:
    files = [folder / f"{number}.yaml" for number in range(len(layers))]
    for file, layer in zip(files, layers, strict=True):
        file.write_text(yaml.safe_dump(layer))
    return render(values_of(*files))


def pools(rendering: Rendering) -> set[str]:
    return {pod.labels["tierflow.dev/pool"] for pod in pods(rendering) if pod.component == "engine"}


def test_a_pool_is_added_beside_those_that_are_there(tmp_path: Path) -> None:
    spare = {"pools": {"spare": {"tier": "edge", "replicas": 2}}}
    found = layered(tmp_path, spare)
    assert pools(found) == {"edge", "cloud", "spare"}
    assert found.one("Deployment", "tierflow-spare")["spec"]["replicas"] == 2


@pytest.mark.parametrize("gone", [None, {"enabled": False}])
def test_a_pool_is_taken_away_with_everything_that_is_its_own(
    tmp_path: Path, gone: dict[str, bool] | None
) -> None:
    found = layered(tmp_path, {"pools": {"cloud": gone}})
    assert pools(found) == {"edge"}
    assert not [each for each in found.objects if each["metadata"]["name"] == "tierflow-cloud"]


def test_later_files_change_one_value_of_a_pool_and_keep_the_others(tmp_path: Path) -> None:
    first = {"pools": {"edge": {"replicas": 3, "nodeSelector": {"zone": "a"}}}}
    second = {"pools": {"edge": {"nodeSelector": {"disk": "fast"}, "priorityClassName": "high"}}}
    spec = layered(tmp_path, first, second).one("Deployment", "tierflow-edge")["spec"]
    assert spec["replicas"] == 3
    assert spec["template"]["spec"]["nodeSelector"] == {"zone": "a", "disk": "fast"}
    assert spec["template"]["spec"]["priorityClassName"] == "high"


def test_a_later_file_brings_back_what_an_earlier_one_took_away(tmp_path: Path) -> None:
    off, on = {"pools": {"cloud": {"enabled": False}}}, {"pools": {"cloud": {"enabled": True}}}
    assert pools(layered(tmp_path, off, on)) == {"edge", "cloud"}


def test_what_is_said_for_all_pools_gives_way_to_what_one_says(tmp_path: Path) -> None:
    everywhere = {"model-pool": {"replicas": 2, "drafts": {"tokensPerStep": 8}}}
    one = {"pools": {"edge": {"replicas": 1}}}
    found = layered(tmp_path, everywhere, one)
    replicas = {
        name: found.one("Deployment", f"tierflow-{name}")["spec"]["replicas"]
        for name in ("edge", "cloud")
    }
    assert replicas == {"edge": 1, "cloud": 2}
    for pod in pods(found):
        if pod.component == "engine":
            assert "--draft-tokens-per-step=8" in pod.spec["containers"][0]["args"]
            assert "--draft-choice=goodput" in pod.spec["containers"][0]["args"]


def test_false_and_zero_and_empty_win_over_what_is_said_for_all_pools(tmp_path: Path) -> None:
    everywhere = {"model-pool": {"nodeSelector": {"zone": "a"}, **MONITORED}}
    one = {
        "pools": {
            "edge": {
                "drafts": {"enabled": False},
                "podMonitor": {"enabled": False},
                "nodeSelector": {"zone": None},
            }
        }
    }
    found = layered(tmp_path, everywhere, one)
    edge = found.one("Deployment", "tierflow-edge")["spec"]["template"]["spec"]
    assert "--draft-mailbox=0.0.0.0:8001" not in edge["containers"][0]["args"]
    assert not edge.get("nodeSelector")
    assert not found.has("PodMonitor", "tierflow-edge")
    assert found.has("PodMonitor", "tierflow-cloud")


def test_null_takes_away_one_entry_of_what_is_said_for_all_pools(tmp_path: Path) -> None:
    entries = {"a": "1", "b": "2"}
    amounts = {"cpu": "1", "memory": "4Gi", "example.org/card": 1}
    everywhere = {
        "nodeSelector": entries,
        "podLabels": entries,
        "podAnnotations": entries,
        "resources": {"requests": amounts, "limits": amounts},
    }
    one = {
        "nodeSelector": {"a": None},
        "podLabels": {"a": None},
        "podAnnotations": {"a": None},
        "resources": {
            "requests": {"example.org/card": None},
            "limits": {"example.org/card": None},
        },
    }
    found = layered(tmp_path, {"model-pool": everywhere, "pools": {"edge": one}})
    for pool, left in (("edge", {"b"}), ("cloud", {"a", "b"})):
        template = found.one("Deployment", f"tierflow-{pool}")["spec"]["template"]
        assert template["spec"]["nodeSelector"].keys() == left
        for kind in ("labels", "annotations"):
            assert template["metadata"][kind].keys() & {"a", "b"} == left
        (container,) = template["spec"]["containers"]
        for amounts in container["resources"].values():
            assert ("example.org/card" in amounts) == (pool == "cloud")


def test_own_values_lie_over_each_file_that_we_ship(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump({"global": {"imageRegistry": "example.org/mirror"}}))
    for file in DEPLOYMENTS.values():
        for pod in pods(render(values_of(file, own))):
            for container in pod.containers:
                assert container["image"].startswith("example.org/mirror/")


def test_three_values_run_a_family_from_the_hub_on_gpus() -> None:
    found = render(
        {
            "model-pool": {"gpu": {"count": 1}},
            "pools": {
                "edge": {"model": {"hub": "owner/small-1b"}},
                "cloud": {"model": {"hub": "owner/large-8b"}},
            },
        }
    )
    for pool, served in (("edge", "small-1b"), ("cloud", "large-8b")):
        (container,) = found.one("Deployment", f"tierflow-{pool}")["spec"]["template"]["spec"][
            "containers"
        ]
        assert container["image"].startswith("tierflow/vllm:")
        assert f"--served-model-name={served}" in container["args"]
        assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
        assert found.has("PersistentVolumeClaim", f"tierflow-{pool}-models")


def test_an_edge_site_has_its_own_pool_and_a_cloud_tier_elsewhere() -> None:
    found = render(values_of(DEPLOYMENTS["edge"]))
    assert pools(found) == {"edge"}
    (gateway,) = [pod for pod in pods(found) if pod.component == "gateway"]
    variables = {each["name"] for each in gateway.spec["containers"][0]["env"]}
    assert "TIERFLOW_GATEWAY_POOLS__cloud__API_KEY" in variables
