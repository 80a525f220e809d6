"""What a device says of itself: from its folder and its flags, within the frame's bounds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.protocol.device_link import speculation as wire
from gateway.protocol.device_link import work
from services.device_agent.membership.profile import (
    FILE,
    ProfileFailed,
    describe_model,
    read_profile,
)
from tests.servers import SHIPPED_FAMILY

MODEL = work.Model(name="rill-device-code")


def folder(path: Path, **said: Any) -> Path:
    (path / FILE).write_text(json.dumps(said))
    return path


def test_the_folder_says_what_the_device_is_good_at(tmp_path: Path) -> None:
    where = folder(tmp_path, description="Reads code.", tags=["code", "python"], domains=["code"])
    profile = read_profile(where, MODEL)
    assert (profile.description, profile.tags) == ("Reads code.", ("code", "python"))


def test_flags_replace_what_the_folder_says(tmp_path: Path) -> None:
    where = folder(tmp_path, description="Reads code.", tags=["code"])
    profile = read_profile(where, MODEL, description="Counts.", tags=["numbers"])
    assert (profile.description, profile.tags) == ("Counts.", ("numbers",))


def test_without_a_file_the_device_says_nothing_of_itself(tmp_path: Path) -> None:
    assert read_profile(tmp_path, MODEL).tags == ()


def test_what_it_registers_is_a_frame_that_the_gateway_reads(tmp_path: Path) -> None:
    profile = read_profile(tmp_path, MODEL, tags=["a"], owner="anna", privacy="owner", max_work=3)
    frame = profile.register(work.Condition(0.5, True, 1))
    assert wire.decode_from_device(wire.encode(frame)) == frame
    assert (frame.owner, frame.privacy, frame.max_work) == ("anna", "owner", 3)
    assert set(frame.abilities) == {"generate", "revise"}


def test_each_process_draws_an_instance_of_its_own(tmp_path: Path) -> None:
    instances = {read_profile(tmp_path, MODEL).instance for _ in range(10)}
    assert len(instances) == 10
    assert all(8 <= len(each) <= 64 for each in instances)


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"description": 5}, "description"),
        ({"description": "x" * 1001}, "description"),
        ({"tags": "code"}, "tags"),
        ({"tags": [1]}, "tags"),
        ({"tags": ["two words"]}, "tags"),
        ({"domains": {}}, "domains"),
        ({"tags": [f"t{n}" for n in range(33)]}, "tags"),
    ],
)
def test_what_can_not_be_said_is_refused_by_name(
    tmp_path: Path, said: dict[str, Any], named: str
) -> None:
    with pytest.raises(ProfileFailed, match=named) as refused:
        read_profile(folder(tmp_path, **said), MODEL)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", ["{", "[]", "\x00"])
def test_a_file_that_is_no_object_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(ProfileFailed, match=FILE):
        read_profile(tmp_path, MODEL)


def test_the_shipped_model_is_described_by_its_weights() -> None:
    model = describe_model("rill-device", SHIPPED_FAMILY / "rill-device", "abc")
    weights = (SHIPPED_FAMILY / "rill-device/model.safetensors").stat().st_size
    assert (model.family, model.tokenizer) == ("rill", "abc")
    assert model.parameters == pytest.approx(weights / 2, rel=0.01)  # two bytes each


def test_a_model_without_numbers_has_an_unknown_size(tmp_path: Path) -> None:
    assert describe_model("own", tmp_path, "").parameters == 0
    (tmp_path / "config.json").write_text('{"hidden_size": "x"}')
    assert describe_model("own", tmp_path, "").parameters == 0
