"""A variable that names no setting stops the start, with the setting that was meant."""

from __future__ import annotations

import pytest

from deploy.local.settings import read_settings
from deploy.local.variables import SettingError
from deploy.reference.settings import sections
from gateway.errors import ConfigError
from gateway.settings import ENV_PREFIX, Settings
from gateway.settings.checks.variables import check_variables


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TIMEOUT__IDLE_S", "TIMEOUTS__IDLE_S"),
        ("TIMEOUTS_IDLE_S", "TIMEOUTS__IDLE_S"),
        ("TIMEOUTS__IDEL_S", "TIMEOUTS__IDLE_S"),
        ("FAMILLY", "FAMILY"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("POOLS__EDGE__API_KYE", "POOLS__EDGE__API_KEY"),
        ("POOLS_EDGE__API_KEY", "POOLS__EDGE__API_KEY"),
        ("KEYS__STATIC__TEAM__TOKENS_PER_DAYS", "KEYS__STATIC__TEAM__TOKENS_PER_DAY"),
        ("STATE__REDIS__TLS__CERTIFCATE", "STATE__REDIS__TLS__CERTIFICATE"),
        ("LISTEN__PORT__TCP", "LISTEN__PORT"),
    ],
)
def test_a_misspelt_setting_is_named_with_the_one_that_was_meant(name: str, meant: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_variables({f"{ENV_PREFIX}{name}": "hunter2"}, Settings)
    assert refused.value.message == (
        f"{ENV_PREFIX}{name} is no variable of Tierflow; did you mean {ENV_PREFIX}{meant}?"
    )


def test_every_setting_of_the_reference_is_known() -> None:
    variables = [
        setting.variable.replace("<NAME>", "MINE")
        for section in sections()
        for setting in section.settings
        if setting.variable.startswith(ENV_PREFIX)
    ]
    assert len(variables) > 150
    check_variables(dict.fromkeys(variables, "x"), Settings)


def test_whole_groups_maps_and_what_has_moved_are_left_to_their_readers() -> None:
    names = ["TIMEOUTS", "DEVICES__TOKENS__PHONE", "PROFILES__MINE__PICKER", "cascade__quality"]
    names += ["COLLECTIVE__PRICES__EDGE"]
    check_variables({f"{ENV_PREFIX}{name}": "x" for name in names}, Settings)
    check_variables({"tierflow_gateway_log_level": "info"}, Settings)


def test_what_a_cluster_sets_for_a_service_of_the_gateways_name_is_left_alone() -> None:
    service = {
        "PORT": "tcp://10.0.0.1:8080",
        "PORT_8080_TCP": "tcp://10.0.0.1:8080",
        "PORT_8080_TCP_ADDR": "10.0.0.1",
        "PORT_8080_TCP_PORT": "8080",
        "PORT_8080_TCP_PROTO": "tcp",
        "SERVICE_HOST": "10.0.0.1",
        "SERVICE_PORT": "8080",
        "SERVICE_PORT_HTTP": "8080",
    }
    check_variables({f"{ENV_PREFIX}{name}": text for name, text in service.items()}, Settings)


def test_the_gateway_refuses_them_at_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERFLOW_EDGE_MODLE", "x")
    monkeypatch.setenv("TIERFLOW_GATEWAY_TIMEOUT__IDLE_S", "60")
    with pytest.raises(ConfigError) as refused:
        Settings.load(None)
    assert refused.value.message == (
        "TIERFLOW_EDGE_MODLE is no variable of Tierflow; did you mean TIERFLOW_EDGE_MODEL?; "
        "TIERFLOW_GATEWAY_TIMEOUT__IDLE_S is no variable of Tierflow; "
        "did you mean TIERFLOW_GATEWAY_TIMEOUTS__IDLE_S?"
    )


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TIERFLOW_EDGE_MODLE", "TIERFLOW_EDGE_MODEL"),
        ("TIERFLOW_GATEWAY_TIMEOUTS_IDLE_S", "TIERFLOW_GATEWAY_TIMEOUTS__IDLE_S"),
        ("TIERFLOW_GATEWY_TIMEOUTS__IDLE_S", "TIERFLOW_GATEWAY_TIMEOUTS__IDLE_S"),
    ],
)
def test_make_up_refuses_them_before_anything_starts(name: str, meant: str) -> None:
    with pytest.raises(SettingError, match=f"{name} is no variable .* did you mean {meant}"):
        read_settings({name: "x"})
