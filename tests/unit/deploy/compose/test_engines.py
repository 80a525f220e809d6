"""docker-compose.yml's engines: on CPUs by default, on a GPU each under the profile `gpu`."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from deploy.images.build import ROOT
from services.vllm_server.arguments import Replica, parse
from tests.unit.deploy.compose.test_services import FOLDER, SERVICES

DEFAULT = dict(
    line.split("=", 1)
    for line in (ROOT / ".env").read_text().splitlines()
    if not line.startswith("#")
)["COMPOSE_PROFILES"]
POOLS: dict[str, Any] = yaml.safe_load((FOLDER / "gateway.yaml").read_text())["pools"]
each_profile = pytest.mark.parametrize("profile", ["cpu", "gpu"])


def started(profile: str) -> dict[str, dict[str, Any]]:
    """What `docker compose --profile …` starts."""
    return {
        name: service
        for name, service in SERVICES.items()
        if profile in service.get("profiles", [profile])
    }


def engines(profile: str) -> dict[str, dict[str, Any]]:
    return {name: each for name, each in started(profile).items() if "extends" in each}


def names(name: str, service: dict[str, Any]) -> set[str]:
    """By which the other services reach this one."""
    network = service.get("networks", {}).get("default", {})
    return {name, *network.get("aliases", ())}


def plain(text: str, variables: dict[str, str] | None = None) -> str:
    """With its variables filled in, or their defaults."""
    given = variables or {}
    return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: given.get(found[1], found[2]), text)


def replica(service: dict[str, Any]) -> Replica:
    """What the engine makes of its command."""
    command = [plain(argument) for argument in service["command"]]
    return parse(command, {"TIERFLOW_DRAFT_SECRET": "s" * 16})


def cards(service: dict[str, Any]) -> list[str]:
    """The GPUs that the service is given."""
    reserved = service.get("deploy", {}).get("resources", {}).get("reservations", {})
    return [id for device in reserved.get("devices", ()) for id in device["device_ids"]]


def test_without_a_word_the_engines_run_on_cpus() -> None:
    assert DEFAULT == "cpu"
    assert set(engines(DEFAULT)) == {"edge", "cloud"}
    for service in engines(DEFAULT).values():
        assert service["image"].startswith("tierflow/vllm-cpu:")
        assert cards(service) == []


def test_the_profile_gpu_runs_the_engines_on_gpus_and_none_on_cpus() -> None:
    assert len(engines("gpu")) == len(POOLS)
    for service in engines("gpu").values():
        assert service["image"].startswith("tierflow/vllm:")
    assert started("gpu").keys() - engines("gpu") == started("cpu").keys() - engines("cpu")


def test_each_engine_gets_a_gpu_of_its_own_and_another_one_on_demand() -> None:
    given = [cards(service) for service in engines("gpu").values()]
    assert [[plain(id) for id in ids] for ids in given] == [["0"], ["1"]]
    chosen = {"TIERFLOW_EDGE_GPU": "4", "TIERFLOW_CLOUD_GPU": "5"}
    assert [[plain(id, chosen) for id in ids] for ids in given] == [["4"], ["5"]]


def test_a_gpus_memory_is_not_held_to_what_a_cpus_cache_takes() -> None:
    assert [replica(each).kv_cache_gib for each in engines("cpu").values()] == [0.5, 0.5]
    for service in engines("gpu").values():
        made = replica(service)
        assert made.kv_cache_gib is None
        assert made.further == ("--gpu-memory-utilization=0.9",)


@each_profile
def test_the_gateway_knows_each_engine_by_a_name_and_its_ports(profile: str) -> None:
    for pool, wanted in POOLS.items():
        (engine,) = [each for name, each in engines(profile).items() if pool in names(name, each)]
        made = replica(engine)
        assert wanted["endpoints"] == [f"http://{pool}:{made.port}"]
        assert wanted["mailboxes"] == [f"{pool}:8001"]
        assert made.draft_mailbox == "0.0.0.0:8001"
        assert made.model == f"/opt/tierflow/models/{made.served_model_name}"


@each_profile
def test_prometheus_scrapes_the_engines_of_each_profile(profile: str) -> None:
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    (job,) = [each for each in config["scrape_configs"] if each["job_name"] == "engines"]
    hosts = {
        target.partition(":")[0] for group in job["static_configs"] for target in group["targets"]
    }
    reached = [host for name, each in engines(profile).items() for host in names(name, each)]
    assert all(reached.count(host) == 1 for host in hosts) and hosts == POOLS.keys()


@each_profile
def test_engines_keep_models_of_the_hub_and_have_its_token(profile: str) -> None:
    for service in engines(profile).values():
        assert "models:/models" in service["volumes"]
        assert service["environment"]["HF_HOME"] == "/models"
        # Passed on by name: a value would stand in the arguments of podman-compose's processes.
        for name in ("HF_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE"):
            assert service["environment"][name] is None


@each_profile
def test_models_of_ones_own_lie_in_a_folder_that_engines_and_device_read(profile: str) -> None:
    for service in [*engines(profile).values(), SERVICES["device"]]:
        (own,) = [each for each in service["volumes"] if each.endswith(":/own:ro")]
        assert own.startswith("${TIERFLOW_MODELS:-./deploy/compose/models}")
    assert (ROOT / "deploy/compose/models").is_dir()


@each_profile
def test_a_model_of_ones_own_is_served_by_its_name_which_the_gateway_knows(profile: str) -> None:
    own = {"TIERFLOW_EDGE_MODEL": "Qwen/Qwen3-0.6B", "TIERFLOW_CLOUD_MODEL": "/own/large"}
    secret = {"TIERFLOW_DRAFT_SECRET": "s" * 16}
    made = {
        parse([plain(each, own) for each in service["command"]], secret).served_model_name
        for service in engines(profile).values()
    }
    assert made == {"Qwen3-0.6B", "large"}
    family = SERVICES["gateway"]["environment"]["TIERFLOW_GATEWAY_FAMILY"]
    assert json.loads(plain(family)) == ["rill-device", "rill-edge", "rill-cloud"]
    named = {"TIERFLOW_EDGE_NAME": "Qwen3-0.6B", "TIERFLOW_CLOUD_NAME": "large"}
    assert json.loads(plain(family, named))[1:] == ["Qwen3-0.6B", "large"]
