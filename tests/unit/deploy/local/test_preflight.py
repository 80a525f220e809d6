"""What is refused before anything is started, and that each refusal says what to change."""

import json
import os
import shutil
import socket
import sys
from collections import namedtuple
from functools import partial
from pathlib import Path

import pytest

from deploy.local import preflight
from deploy.local.preflight import (
    DEVICE_GIB,
    PreflightFailure,
    check_devices,
    check_engine_python,
    check_libraries,
    check_memory,
    check_models,
    check_one_tokenizer,
    check_ports,
    check_shared_memory,
    fetched,
)
from deploy.local.settings import Settings, read_settings
from gateway.protocol.model_hub import HubFailed


def write_model(folder: Path, vocab: dict[str, int]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text("{}")
    tokenizer = {"model": {"type": "BPE", "vocab": vocab, "merges": []}}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return folder


def family(edge: Path, cloud: Path, **variables: str) -> Settings:
    return read_settings(
        {"TIERFLOW_EDGE_MODEL": str(edge), "TIERFLOW_CLOUD_MODEL": str(cloud), **variables}
    )


def test_a_family_with_one_tokenizer_is_accepted(tmp_path: Path) -> None:
    settings = family(
        write_model(tmp_path / "small", {"a": 0}), write_model(tmp_path / "large", {"a": 0})
    )
    check_models(settings)
    check_one_tokenizer(settings.family)
    write_model(tmp_path / "large", {"b": 0})
    with pytest.raises(PreflightFailure):
        check_one_tokenizer(settings.family)


def test_different_tokenizers_are_refused_with_both_fingerprints_named(tmp_path: Path) -> None:
    settings = family(
        write_model(tmp_path / "small", {"a": 0}), write_model(tmp_path / "large", {"b": 0})
    )
    with pytest.raises(PreflightFailure) as refused:
        check_one_tokenizer(settings.family)
    message = str(refused.value)
    assert message.startswith("small and large have different tokenizers")
    one, other = message.split("(")[1].split(")")[0].split(" and ")
    assert len(one) == len(other) == 16
    assert one != other


def test_a_member_without_a_tokenizer_is_refused_by_name(tmp_path: Path) -> None:
    settings = family(
        write_model(tmp_path / "small", {"a": 0}), write_model(tmp_path / "large", {"a": 0})
    )
    (tmp_path / "large" / "tokenizer.json").unlink()
    with pytest.raises(PreflightFailure, match="tokenizer of large"):
        check_one_tokenizer(settings.family)


def test_a_missing_model_folder_is_refused_with_its_variable(tmp_path: Path) -> None:
    settings = family(write_model(tmp_path / "small", {"a": 0}), tmp_path / "large")
    with pytest.raises(PreflightFailure, match="TIERFLOW_CLOUD_MODEL: there is no folder"):
        check_models(settings)


def test_a_folder_that_is_no_model_is_refused_with_its_variable(tmp_path: Path) -> None:
    (tmp_path / "large").mkdir()
    settings = family(write_model(tmp_path / "small", {"a": 0}), tmp_path / "large")
    with pytest.raises(PreflightFailure, match="TIERFLOW_CLOUD_MODEL: .* no config.json"):
        check_models(settings)


def test_models_on_the_hub_are_fetched_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def fetch(kind: str, model: str) -> Path:
        asked.append((kind, model))
        if model == "a/missing":
            raise HubFailed(f"{model}: the hub has no such model")
        return write_model(tmp_path / model.replace("/", "-"), {"a": 0})

    monkeypatch.setattr(preflight, "fetch_model", partial(fetch, "whole"))
    monkeypatch.setattr(preflight, "fetch_words", partial(fetch, "words"))
    edge = {"TIERFLOW_EDGE_MODEL": "a/edge", "TIERFLOW_CLOUD_MODEL": "a/cloud"}
    settings = fetched(read_settings({**edge, "TIERFLOW_DEVICE_MODEL": "a/device"}))
    assert asked == [("words", "a/device"), ("whole", "a/edge"), ("whole", "a/cloud")]
    check_one_tokenizer(settings.family)
    assert [model.name for model in settings.family] == ["device", "edge", "cloud"]
    missing = read_settings({**edge, "TIERFLOW_CLOUD_MODEL": "a/missing"})
    with pytest.raises(PreflightFailure, match="^TIERFLOW_CLOUD_MODEL=a/missing: the hub has no"):
        fetched(missing)


def test_a_port_in_use_is_refused_with_its_variable_and_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        settings = read_settings({"TIERFLOW_CLOUD_PORT": str(port)} | free_ports())
        with pytest.raises(PreflightFailure) as refused:
            check_ports(settings)
    message = str(refused.value)
    assert message.startswith(f"port {port} is in use by ")
    assert f"process {os.getpid()}" in message
    assert message.endswith("choose another with TIERFLOW_CLOUD_PORT")


def test_a_port_is_accepted_once_it_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        settings = read_settings({"TIERFLOW_CLOUD_PORT": str(port)} | free_ports())
        with pytest.raises(PreflightFailure):
            check_ports(settings)
    check_ports(settings)


def free_ports() -> dict[str, str]:
    with socket.create_server(("127.0.0.1", 0)) as one:
        with socket.create_server(("127.0.0.1", 0)) as other:
            return {
                "TIERFLOW_PORT": str(one.getsockname()[1]),
                "TIERFLOW_EDGE_PORT": str(other.getsockname()[1]),
            }


def test_too_little_memory_states_needed_and_available(tmp_path: Path) -> None:
    settings = family(tmp_path / "small", tmp_path / "large", TIERFLOW_KV_CACHE_GIB="2")
    with pytest.raises(PreflightFailure, match=r"7\.0 GiB needed, 6\.5 GiB available"):
        check_memory(settings, available=6.5)
    check_memory(settings, available=7.5)


def test_devices_count_and_can_be_left_out(tmp_path: Path) -> None:
    engines = (tmp_path / "small", tmp_path / "large")
    settings = family(*engines, TIERFLOW_ENGINE="simulator", TIERFLOW_DEVICES="code reading")
    check_memory(settings, available=0.21 + 2 * DEVICE_GIB)
    with pytest.raises(PreflightFailure, match="fewer devices with TIERFLOW_DEVICES"):
        check_memory(settings, available=0.19 + 2 * DEVICE_GIB)


def test_a_device_whose_folder_lacks_something_is_refused_by_name(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "rill-device-sums", {"a": 0})
    settings = read_settings({"TIERFLOW_DEVICES": str(folder)})
    with pytest.raises(PreflightFailure, match=r"no \*.onnx, so the device sums can't start"):
        check_devices(settings)
    (folder / "model.onnx").write_bytes(b"")
    with pytest.raises(PreflightFailure, match="no chat template, so the device sums could do no"):
        check_devices(settings)
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    check_devices(settings)


def test_a_misspelt_specialist_is_told_the_nearest() -> None:
    with pytest.raises(PreflightFailure, match="specialist mathematic; did you mean mathematics"):
        check_devices(read_settings({"TIERFLOW_DEVICES": "mathematic code"}))


def test_the_simulator_needs_little_memory(tmp_path: Path) -> None:
    engines = (tmp_path / "small", tmp_path / "large")
    with pytest.raises(PreflightFailure):
        check_memory(family(*engines), available=0.5)
    check_memory(family(*engines, TIERFLOW_ENGINE="simulator"), available=0.5)


def test_a_missing_system_library_is_named_with_its_package() -> None:
    check_libraries({"libc.so.6": "libc6"})
    with pytest.raises(PreflightFailure, match=r"missing: libnone1 \(has libnone.so.1.*libnone1$"):
        check_libraries({"libc.so.6": "libc6", "libnone.so.1": "libnone1"})


def test_too_little_shared_memory_for_the_engines_is_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free = {"/small": 62, "/large": 320}
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(free[folder] * 2**20))
    check_shared_memory(2, "/large")
    with pytest.raises(PreflightFailure) as refused:
        check_shared_memory(2, "/small")
    assert str(refused.value) == (
        "/small has 62 MiB free, and engines need 320 MiB: make it larger; a container gets more "
        "with --shm-size=1g"
    )


def test_an_engine_python_that_is_not_there_or_has_no_vllm_is_refused(tmp_path: Path) -> None:
    def settings(python: str) -> Settings:
        return read_settings({"TIERFLOW_ENGINE_PYTHON": python})

    with pytest.raises(PreflightFailure, match="ENGINE_PYTHON: there is no program /no/python"):
        check_engine_python(settings("/no/python"))
    (tmp_path / "python").write_text("no program")
    with pytest.raises(PreflightFailure, match="ENGINE_PYTHON: there is no program"):
        check_engine_python(settings(str(tmp_path / "python")))
    with pytest.raises(PreflightFailure, match="ENGINE_PYTHON: .* has no vLLM"):
        check_engine_python(settings(sys.executable))
    check_engine_python(settings(""))
