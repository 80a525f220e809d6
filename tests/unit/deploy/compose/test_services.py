"""docker-compose.yml: hardened, closed to other machines, and agreeing with the gateway."""

from __future__ import annotations

import hashlib
import re
import stat
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.compose import secrets
from deploy.images.build import ROOT, version
from gateway.api.http_server import LAST_BYTES_S
from gateway.serving.requests.drain import BUSY_NOTICE_S, LAST_WORDS_S
from gateway.settings import Settings
from gateway.settings.listen import Listen
from services.device_agent.arguments import listed, parser

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
FOLDER = ROOT / "deploy/compose"


def services() -> dict[str, dict[str, Any]]:
    """All services of all profiles, with the engines' own files taken in."""
    extended = {}
    for name, service in COMPOSE["services"].items():
        if base := service.get("extends"):
            engine = yaml.safe_load((ROOT / base["file"]).read_text())["services"][base["service"]]
            service = engine | service
        extended[name] = service
    return extended


SERVICES = services()
CASES = [pytest.param(service, id=name) for name, service in SERVICES.items()]
each = pytest.mark.parametrize("service", CASES)


@each
def test_every_service_runs_without_privileges_on_a_read_only_file_system(
    service: dict[str, Any],
) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["mem_limit"] and service["pids_limit"]
    ours = re.search(r"\btierflow/", service["image"])
    assert ours or service["user"].split(":")[0] not in ("0", "root")


@each
def test_images_have_versions_and_ours_have_this_one(service: dict[str, Any]) -> None:
    image = re.sub(r"\$\{\w+:-(.+)\}", r"\1", service["image"])
    tag = image.rpartition(":")[2]
    assert re.search(r"\d", tag)
    if "tierflow/" in image:
        assert tag == version()


@each
def test_images_of_python_alone_are_asked_for_no_other_program(service: dict[str, Any]) -> None:
    """Their entry points and health checks are the images' own."""
    if re.search(r"\btierflow/(gateway|device):", service["image"]):
        assert not service.keys() & {"entrypoint", "healthcheck"}


@each
def test_ports_are_open_to_this_machine_only(service: dict[str, Any]) -> None:
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@each
def test_mounted_files_are_read_only_and_there(service: dict[str, Any]) -> None:
    for volume in service.get("volumes", []):
        source, target, *mode = volume.split(":")
        if source.startswith("."):
            assert mode == ["ro"], volume
            assert (ROOT / source).exists(), volume


def test_the_parts_secrets_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    def draw() -> str:
        drawn.append(f"secret-{len(drawn)}-of-sixteen-and-more")
        return drawn[-1]

    made = secrets.variables(draw)
    for name, value in made["gateway"].items():
        monkeypatch.setenv(name, value)
    settings = Settings.load(FOLDER / "gateway.yaml")
    for pool in settings.pools.values():
        assert pool.mailbox_secret is not None
        assert pool.mailbox_secret.get_secret_value() == made["engine"]["TIERFLOW_DRAFT_SECRET"]
    assert list(settings.devices.tokens) == list(secrets.DEVICES.values())
    for service, name in secrets.DEVICES.items():
        token = made[service]["TIERFLOW_DEVICE_TOKEN"]
        assert settings.devices.tokens[name] == hashlib.sha256(token.encode()).hexdigest()
        assert token not in str(made["gateway"])
    admin = made["operator"]["TIERFLOW_ADMIN_TOKEN"]
    assert settings.admin.digest == hashlib.sha256(admin.encode()).hexdigest()
    assert admin not in str(made["gateway"])
    redis = settings.state.redis
    assert redis is not None and redis.password is not None
    assert redis.password.get_secret_value() == made["redis"]["REDISCLI_AUTH"]


def test_the_store_keeps_enrolled_devices_and_asks_for_a_password() -> None:
    service = SERVICES["redis"]
    (command,) = service["command"]
    assert "--appendonly yes" in command and "--maxmemory-policy noeviction" in command
    assert "state:/data" in service["volumes"] and "state" in COMPOSE["volumes"]
    assert "requirepass" in command and service["env_file"] == ["deploy/compose/private/redis.env"]


def test_prometheus_scrapes_every_device() -> None:
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    (job,) = [each for each in config["scrape_configs"] if each["job_name"] == "devices"]
    targets = [target for group in job["static_configs"] for target in group["targets"]]
    assert targets == [f"{name}:8090" for name in secrets.DEVICES]
    for name in secrets.DEVICES:
        arguments = parser().parse_args(SERVICES[name]["command"])
        assert (arguments.host, arguments.port) == ("0.0.0.0", 8090)


def test_the_gateway_is_not_killed_while_its_answers_may_still_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = secrets.variables(map("secret-{}-of-sixteen-and-more".format, count()).__next__)
    for name, value in made["gateway"].items():
        monkeypatch.setenv(name, value)
    lifecycle = Settings.load(FOLDER / "gateway.yaml").lifecycle
    grace = int(SERVICES["gateway"]["stop_grace_period"].removesuffix("s"))
    assert grace > BUSY_NOTICE_S + lifecycle.drain_s + LAST_WORDS_S + LAST_BYTES_S


def test_each_device_runs_a_model_of_the_image_under_a_token_of_its_own() -> None:
    for name, device in secrets.DEVICES.items():
        service = SERVICES[name]
        assert service["env_file"] == [f"deploy/compose/private/{name}.env"]
        filled = [re.sub(r"\$\{\w+:-(.+)\}", r"\1", each) for each in service["command"]]
        arguments = parser().parse_args(filled)
        wanted = "rill-device" if name == "device" else f"rill-device-{device}"
        assert arguments.model == Path("/opt/tierflow/models") / wanted
        assert arguments.gateway == "http://gateway:8080"


def test_pages_of_this_machines_browser_use_neither_the_gateway_nor_the_device() -> None:
    listen = Listen(**yaml.safe_load((FOLDER / "gateway.yaml").read_text())["listen"])
    assert listen.allowed_hosts is not None and listen.allowed_origins == ()
    # By its ports here, by the devices, and by Prometheus.
    assert {"localhost", "127.0.0.1", "gateway"} <= set(listen.allowed_hosts)
    arguments = parser().parse_args(SERVICES["device"]["command"])
    assert listed(arguments.allowed_hosts) == ["localhost", "127.0.0.1", "device"]
    assert listed(arguments.allowed_origins) == []


def test_secrets_are_made_once_and_for_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "private"
    assert secrets.make(folder)
    first = {file.name: file.read_text() for file in folder.iterdir()}
    assert not secrets.make(folder)
    assert {file.name: file.read_text() for file in folder.iterdir()} == first
    wanted = {
        Path(file).name for service in SERVICES.values() for file in service.get("env_file", [])
    }
    assert set(first) == wanted | {"operator.env", "caller.env"}
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in folder.iterdir())


def test_secrets_are_never_committed() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert f"{secrets.FOLDER.relative_to(ROOT)}/" in ignored
