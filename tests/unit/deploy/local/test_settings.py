"""Settings of `make up`: defaults, refusals, and what own models mean."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.settings import CHECKOUT, Device, read_settings
from deploy.local.variables import VARIABLES, SettingError, describe


def test_the_shipped_family_is_served_by_default() -> None:
    settings = read_settings({})
    assert settings.url == "http://127.0.0.1:8080"
    assert [model.name for model in settings.family] == ["rill-device", "rill-edge", "rill-cloud"]
    assert settings.edge_model.folder == CHECKOUT / "services/model_family/weights/rill-edge"


def test_an_empty_variable_counts_as_absent() -> None:
    names = [variable.name for variable in VARIABLES if variable.name != "TIERFLOW_DEVICES"]
    assert read_settings(dict.fromkeys(names, "")) == read_settings({})


def test_three_specialists_are_started_by_default() -> None:
    devices = read_settings({}).devices
    assert [device.name for device in devices] == ["mathematics", "code", "reading"]
    weights = CHECKOUT / "services/model_family/weights"
    assert devices[0].folder == weights / "rill-device-mathematics"
    assert read_settings({}).devices_note == ""


def test_an_empty_variable_turns_the_devices_off() -> None:
    settings = read_settings({"TIERFLOW_DEVICES": ""})
    assert (settings.devices, settings.devices_note) == ((), "")


def test_devices_are_named_by_specialist_or_by_folder(tmp_path: Path) -> None:
    devices = read_settings({"TIERFLOW_DEVICES": f"code {tmp_path}/own-model/"}).devices
    assert [device.name for device in devices] == ["code", "own-model"]
    assert devices[1].folder == tmp_path / "own-model"


@pytest.mark.parametrize("word", ["models/mine", "./models/mine", "models/mine/"])
def test_a_relative_folder_of_a_device_is_one_of_where_the_command_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    (tmp_path / "models" / "mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    (device,) = read_settings({"TIERFLOW_DEVICES": word}).devices
    assert device == Device("mine", tmp_path / "models" / "mine")


def test_a_device_s_folder_that_is_nowhere_is_looked_for_where_the_command_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (device,) = read_settings({"TIERFLOW_DEVICES": "models/mnie"}).devices
    assert device.folder == tmp_path / "models" / "mnie"


def test_a_device_s_folder_of_the_checkout_may_be_named_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    word = "services/model_family/weights/rill-device"
    (device,) = read_settings({"TIERFLOW_DEVICES": word}).devices
    assert device == Device("rill-device", CHECKOUT / word)


def test_a_relative_python_of_the_engines_is_one_of_where_the_command_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    own = read_settings({"TIERFLOW_ENGINE_PYTHON": "venv/bin/python"}).engine_python
    assert own == f"{tmp_path}/venv/bin/python"
    assert read_settings({"TIERFLOW_ENGINE_PYTHON": "python3"}).engine_python == "python3"


def test_beside_models_of_ones_own_no_specialist_is_started_and_that_is_said() -> None:
    own = {"TIERFLOW_EDGE_MODEL": "Qwen/Qwen3-8B", "TIERFLOW_CLOUD_MODEL": "Qwen/Qwen3-32B"}
    settings = read_settings(own)
    assert settings.devices == ()
    assert "TIERFLOW_DEVICES" in settings.devices_note and "\n" not in settings.devices_note
    chosen = read_settings({**own, "TIERFLOW_DEVICES": "code"})
    assert [device.name for device in chosen.devices] == ["code"]
    assert chosen.devices_note == ""


def test_the_simulator_starts_no_devices_unless_told() -> None:
    assert read_settings({"TIERFLOW_ENGINE": "simulator"}).devices == ()
    told = read_settings({"TIERFLOW_ENGINE": "simulator", "TIERFLOW_DEVICES": "code"})
    assert len(told.devices) == 1


def test_own_models_form_a_family_without_the_shipped_device_model() -> None:
    settings = read_settings(
        {"TIERFLOW_EDGE_MODEL": "Qwen/Qwen3-8B", "TIERFLOW_CLOUD_MODEL": "Qwen/Qwen3-32B"}
    )
    assert [model.name for model in settings.family] == ["Qwen3-8B", "Qwen3-32B"]
    assert settings.edge_model.source == "Qwen/Qwen3-8B"
    assert settings.edge_model.folder is None


def test_a_device_model_completes_a_family_of_own_models() -> None:
    settings = read_settings(
        {
            "TIERFLOW_DEVICE_MODEL": "Qwen/Qwen3-0.6B",
            "TIERFLOW_EDGE_MODEL": "Qwen/Qwen3-8B",
            "TIERFLOW_CLOUD_MODEL": "Qwen/Qwen3-32B",
        }
    )
    assert [model.name for model in settings.family] == ["Qwen3-0.6B", "Qwen3-8B", "Qwen3-32B"]


def test_a_model_folder_is_served_under_its_last_path_part(tmp_path: Path) -> None:
    settings = read_settings({"TIERFLOW_CLOUD_MODEL": f"{tmp_path}/big-model/"})
    assert settings.cloud_model.name == "big-model"
    assert settings.cloud_model.folder == tmp_path / "big-model"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TIERFLOW_PORT", "http"),
        ("TIERFLOW_PORT", "0"),
        ("TIERFLOW_EDGE_PORT", "65536"),
        ("TIERFLOW_CLOUD_PORT", "-1"),
        ("TIERFLOW_EDGE_MODEL", "no-such-folder"),
        ("TIERFLOW_CLOUD_MODEL", "a/b/c"),
        ("TIERFLOW_DTYPE", "int3"),
        ("TIERFLOW_KV_CACHE_GIB", "0"),
        ("TIERFLOW_KV_CACHE_GIB", "nan"),
        ("TIERFLOW_KV_CACHE_GIB", "inf"),
        ("TIERFLOW_MAX_MODEL_LEN", "12.5"),
        ("TIERFLOW_ENGINE", "gpt"),
        ("TIERFLOW_ENGINE_ARGS", "'unclosed"),
        ("TIERFLOW_START_TIMEOUT", "soon"),
        ("TIERFLOW_DEVICES", "code code"),
        ("TIERFLOW_DEVICES", "local"),
        ("TIERFLOW_DEVICES", "c:de"),
        ("TIERFLOW_DEVICES", "/"),
        ("TIERFLOW_DEVICE_PORT", "abc"),
    ],
)
def test_a_bad_value_is_refused_in_one_line_that_names_the_variable(
    variable: str, value: str
) -> None:
    with pytest.raises(SettingError) as refused:
        read_settings({variable: value})
    assert str(refused.value).startswith(f"{variable}={value}")
    assert "\n" not in str(refused.value)


def test_two_parts_on_one_port_are_refused_with_both_variables_named() -> None:
    with pytest.raises(SettingError, match="TIERFLOW_EDGE_PORT and TIERFLOW_PORT .*9000"):
        read_settings({"TIERFLOW_PORT": "9000", "TIERFLOW_EDGE_PORT": "9000"})


def test_a_device_s_port_that_another_part_has_is_refused_where_it_was_chosen() -> None:
    with pytest.raises(SettingError, match="TIERFLOW_DEVICE_PORT and TIERFLOW_PORT .*8080"):
        read_settings({"TIERFLOW_DEVICE_PORT": "8080"})
    assert read_settings({"TIERFLOW_EDGE_PORT": "8090"}).edge_port == 8090


def test_spaces_alone_count_as_absent() -> None:
    names = [variable.name for variable in VARIABLES if variable.name != "TIERFLOW_DEVICES"]
    assert read_settings(dict.fromkeys(names, " ")) == read_settings({})


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("LISTEN__PORT", "9999", "by TIERFLOW_PORT"),
        ("LISTEN", '{"port": 9999}', "by TIERFLOW_PORT"),
        ("POOLS__EDGE__ENDPOINTS", '["http://h:1"]', "by TIERFLOW_EDGE_PORT"),
        ("TIMEOUTS__IDLE_S", "abc", "timeouts.idle_s: expected a number"),
        ("TIMEOUTS", '{"idle_s": -1}', "timeouts.idle_s: expected more than 0"),
        ("FAMILY", "abc", "written as JSON"),
    ],
)
def test_a_gateway_s_setting_that_can_not_work_is_refused_before_anything_starts(
    name: str, value: str, told: str
) -> None:
    with pytest.raises(SettingError, match=f"^TIERFLOW_GATEWAY_{name}:.*{told}"):
        read_settings({f"TIERFLOW_GATEWAY_{name}": value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TIMEOUTS__IDLE_S", "60"),
        # The runner's file says the rest of it.
        ("POOLS__EDGE__API_KEY", "key"),
        ("STATE", '{"redis": {"url": "redis://host:6379"}}'),
        ("LISTEN__HOST", "0.0.0.0"),
    ],
)
def test_other_settings_of_the_gateway_are_its_own(name: str, value: str) -> None:
    assert read_settings({f"TIERFLOW_GATEWAY_{name}": value}) == read_settings({})


def test_two_members_of_one_name_are_refused() -> None:
    with pytest.raises(SettingError, match="TIERFLOW_CLOUD_MODEL and TIERFLOW_EDGE_MODEL"):
        read_settings({"TIERFLOW_EDGE_MODEL": "one/same", "TIERFLOW_CLOUD_MODEL": "two/same"})


possible_values = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@given(st.sampled_from([variable.name for variable in VARIABLES]), possible_values)
def test_any_value_is_either_used_or_refused_by_name(variable: str, value: str) -> None:
    try:
        read_settings({variable: value})
    except SettingError as refused:
        assert variable in str(refused)


@pytest.mark.parametrize("variable", [variable.name for variable in VARIABLES])
def test_the_description_lists_every_variable(variable: str) -> None:
    assert f"  {variable} " in describe()
