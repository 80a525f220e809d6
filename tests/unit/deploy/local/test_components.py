"""What is started for each pool and for the gateway."""

import hashlib
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.components import Component, Launch, gateway_config, share_cores
from deploy.local.instance import Instance
from deploy.local.instance_secrets import Secrets
from deploy.local.processes import KILL_AFTER
from deploy.local.settings import CHECKOUT, read_settings
from gateway.serving.requests.drain import BUSY_NOTICE_S, LAST_WORDS_S
from gateway.settings import Settings as GatewaySettings
from gateway.wiring.cascade import predictors
from services.device_agent.arguments import parser

SECRETS = Secrets(
    device_token="the-token-of-a-device",
    mailbox="the-secret-of-the-mailboxes",
    admin_token="the-token-of-an-operator",
    devices={"code": "the-token-of-code", "reading": "the-token-of-reading"},
)
OWN = {"TIERFLOW_EDGE_MODEL": "owner/small", "TIERFLOW_CLOUD_MODEL": "owner/large"}


def parts(
    tmp_path: Path, environ: dict[str, str] | None = None, **variables: str
) -> list[Component]:
    return Launch(
        settings=read_settings(OWN | variables),
        instance=Instance(tmp_path),
        secrets=SECRETS,
        gateway_python="/gateway/python",
        engine_python="/engine/python",
        temporary="/temporary",
        cores={0, 1},
        environ=environ or {},
    ).components()


def value(command: list[str], option: str) -> str:
    return command[command.index(option) + 1]


@given(st.sets(st.integers(0, 255), min_size=1, max_size=64))
def test_engines_get_cores_of_this_machine_and_share_none_but_a_single_one(
    cores: set[int],
) -> None:
    edge, cloud = ({int(core) for core in part.split(",")} for part in share_cores(cores))
    assert edge and cloud
    assert edge | cloud <= cores
    assert len(edge) <= len(cloud)
    assert not edge & cloud or len(cores) == 1
    assert len(cores - edge - cloud) == (1 if len(cores) >= 4 else 0)


def test_each_engine_serves_its_model_on_its_port_and_core(tmp_path: Path) -> None:
    edge, cloud, gateway = parts(tmp_path)
    assert [part.name for part in (edge, cloud, gateway)] == ["edge", "cloud", "gateway"]
    assert edge.command[:3] == ["nice", "-n", "10"], "gateway and device go first"
    assert edge.command[3:6] == ["/engine/python", "-m", "services.vllm_server"]
    assert value(edge.command, "--model") == "owner/small"
    assert value(cloud.command, "--served-model-name") == "large"
    assert [value(part.command, "--port") for part in (edge, cloud)] == ["8101", "8102"]
    assert [value(part.command, "--cores") for part in (edge, cloud)] == ["0", "1"]
    assert gateway.command[0] == "/gateway/python"


def test_further_engine_arguments_come_last(tmp_path: Path) -> None:
    edge, *_ = parts(tmp_path, TIERFLOW_ENGINE_ARGS="--seed 3 --name 'a b'")
    assert edge.command[-5:] == ["--", "--seed", "3", "--name", "a b"]


def test_the_simulator_runs_in_the_gateway_environment(tmp_path: Path) -> None:
    edge, *_ = parts(tmp_path, TIERFLOW_ENGINE="simulator")
    assert edge.command[:3] == ["/gateway/python", "-m", "services.engine_simulator"]
    assert value(edge.command, "--model") == "small"


def test_parts_find_the_checkout_and_keep_their_files_to_themselves(tmp_path: Path) -> None:
    environ = {"PYTHONPATH": "/mine", "VIRTUAL_ENV": "/other", "PATH": "/bin"}
    edge, _, gateway = parts(tmp_path, environ)
    assert edge.environment["PYTHONPATH"] == f"{CHECKOUT}:/mine"
    assert edge.environment["TMPDIR"] == "/temporary"
    assert gateway.environment["PATH"] == "/bin"
    assert "VIRTUAL_ENV" not in gateway.environment


def test_the_gateway_accepts_the_configuration_it_is_given(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(gateway_config(read_settings({"TIERFLOW_PORT": "9000"}), SECRETS))
    settings = GatewaySettings.load(file)
    assert settings.listen.port == 9000
    assert settings.family == ("rill-device", "rill-edge", "rill-cloud")
    assert {name: pool.endpoints for name, pool in settings.pools.items()} == {
        "edge": ("http://127.0.0.1:8101",),
        "cloud": ("http://127.0.0.1:8102",),
    }
    assert list(yaml.safe_load(file.read_text())["pools"]) == ["edge", "cloud"]


def test_the_gateway_ends_by_itself_before_it_would_be_killed(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(gateway_config(read_settings({}), SECRETS))
    drain_s = GatewaySettings.load(file).lifecycle.drain_s
    assert BUSY_NOTICE_S + drain_s + LAST_WORDS_S < KILL_AFTER


def test_engines_take_drafts_with_a_secret_that_only_they_and_the_gateway_know(
    tmp_path: Path,
) -> None:
    edge, cloud, gateway = parts(tmp_path)
    assert [value(part.command, "--draft-mailbox") for part in (edge, cloud)] == [
        "127.0.0.1:8111",
        "127.0.0.1:8112",
    ]
    for engine in (edge, cloud):
        assert engine.environment["TIERFLOW_DRAFT_SECRET"] == SECRETS.mailbox
        assert SECRETS.mailbox not in engine.command
    assert "TIERFLOW_DRAFT_SECRET" not in gateway.environment
    loaded = yaml.safe_load(gateway_config(read_settings({}), SECRETS))
    assert loaded["pools"]["edge"]["mailboxes"] == ["127.0.0.1:8111"]
    assert loaded["pools"]["cloud"]["mailbox_secret"] == SECRETS.mailbox


def test_without_speculation_no_mailbox_is_opened_and_no_port_taken(tmp_path: Path) -> None:
    off = {"TIERFLOW_SPECULATION": "off"}
    assert not [part for part in parts(tmp_path, None, **off) if "--draft-mailbox" in part.command]
    assert "mailboxes" not in gateway_config(read_settings(off), SECRETS)
    assert "TIERFLOW_EDGE_DRAFT_PORT" not in read_settings(off).ports


def test_the_gateway_knows_the_hash_of_the_device_token_and_not_the_token() -> None:
    text = gateway_config(read_settings({}), SECRETS)
    tokens = [SECRETS.device_token, *SECRETS.devices.values()]
    for token in tokens:
        assert hashlib.sha256(token.encode()).hexdigest() in text
        assert token not in text
    assert list(yaml.safe_load(text)["devices"]["tokens"]) == ["local", "code", "reading"]


def test_devices_are_members_behind_the_gateway_with_tokens_of_their_own(tmp_path: Path) -> None:
    *_, gateway, code, reading = parts(tmp_path, None, TIERFLOW_DEVICES="code reading")
    assert (gateway.name, code.device, reading.device) == ("gateway", "code", "reading")
    assert (gateway.vital, code.vital) == (True, False)
    assert code.command[:3] == ["nice", "-n", "10"], "the gateway goes first"
    assert "--no-api" in code.command
    assert value(code.command, "--gateway") == "http://127.0.0.1:8080"
    assert value(code.command, "--token-file") == str(tmp_path / "device-code.token")
    folder = CHECKOUT / "services/model_family/weights/rill-device-reading"
    assert value(reading.command, "--model") == str(folder)
    parser().parse_args(code.command[code.command.index("--no-api") :])


def test_the_operators_token_itself_is_given_to_nobody(tmp_path: Path) -> None:
    for part in parts(tmp_path, None, TIERFLOW_DEVICES="code"):
        assert SECRETS.admin_token not in [*part.command, *part.environment.values()]


def test_the_gateway_knows_an_operator_by_the_tokens_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, gateway = parts(tmp_path, None)
    name = "TIERFLOW_GATEWAY_ADMIN__TOKEN"
    monkeypatch.setenv(name, gateway.environment[name])
    file = tmp_path / "gateway.yaml"
    file.write_text(gateway_config(read_settings({}), SECRETS))
    admin = GatewaySettings.load(file).admin
    assert admin.digest == hashlib.sha256(SECRETS.admin_token.encode()).hexdigest()


def test_the_shipped_familys_predictor_judges_the_shipped_family_alone() -> None:
    shipped = yaml.safe_load(gateway_config(read_settings({}), SECRETS))
    chosen = predictors(GatewaySettings.model_validate(shipped).cascade)
    *devices, lower, upper = [model.name for model in read_settings({}).family]
    for method in ("logprobs", "agreement", "self-check"):
        assert chosen.of(lower, upper, method).pair == ("rill-edge", "rill-cloud")
        assert chosen.of("small", "large", method).pair == ("", "")
    devices += [device.folder.name for device in read_settings({}).devices]
    for device in devices:
        assert chosen.of(device, upper, "mean").pair == (device, "rill-cloud")
    assert "cascade" not in yaml.safe_load(gateway_config(read_settings(OWN), SECRETS))


def test_the_hubs_token_is_given_to_engines_alone(tmp_path: Path) -> None:
    for part in parts(tmp_path, {"HF_TOKEN": "hf_secret"}, TIERFLOW_DEVICES="code"):
        assert ("HF_TOKEN" in part.environment) == (part.name in ("edge", "cloud"))
        assert "hf_secret" not in part.command
