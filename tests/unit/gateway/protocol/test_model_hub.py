"""Models are fetched by their ids with the hub's real client, from a stand-in of the hub over HTTP;
what is wrong is said in one sentence, soon."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.protocol import model_hub
from gateway.protocol.model_hub import hub_name, is_hub_id
from tests.hub import Hub, hub
from tests.servers import CHECKOUT, SHIPPED_FAMILY

SECRET = "hf_right"
FETCHES = """
import json, os, sys
from gateway.protocol import model_hub
model_hub.ANSWER_S = 0.5
found = {}
for name, call, model, token in json.loads(sys.argv[1]):
    os.environ["HF_TOKEN"] = token
    try:
        folder = getattr(model_hub, call)(model)
        found[name] = sorted(file.name for file in folder.iterdir())
    except model_hub.HubFailed as failure:
        found[name] = str(failure)
print(json.dumps(found))
"""
COMPLETE = sorted(
    file.name for file in (SHIPPED_FAMILY / "rill-device").iterdir() if file.suffix != ".onnx"
)
"""What engines and devices read; a graph is made where it is wanted."""
Fetch = tuple[str, str, str, str]


def outcomes(fetches: list[Fetch], home: Path, endpoint: str, **variables: str) -> dict[str, Any]:
    """By name: the files of the folder, or the sentence. The client reads its variables once."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    environment |= {"HF_HOME": str(home), "HF_ENDPOINT": endpoint, "NO_PROXY": "*", **variables}
    command = [sys.executable, "-c", FETCHES, json.dumps(fetches)]
    done = subprocess.run(command, env=environment, cwd=CHECKOUT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hub's client keeps here what it has fetched."""
    return tmp_path_factory.mktemp("hub")


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model as they used to be, and in formats that no engine of ours reads."""
    folder = tmp_path_factory.mktemp("old")
    for name in ("config.json", "pytorch_model.bin", "tf_model.h5", "onnx/model.onnx"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("{}")
    return folder


@pytest.fixture(scope="module")
def here(old: Path) -> Iterator[Hub]:
    device = SHIPPED_FAMILY / "rill-device"
    names = {"open": device, "mine": device, "gated": device, "old": old, "down": old, "no": old}
    repositories = {f"a/{name}": folder for name, folder in names.items()}
    gated = {"a/mine": SECRET, "a/gated": SECRET}
    with hub(repositories, gated=gated, broken={"a/down": 503}) as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def found(here: Hub, home: Path) -> dict[str, Any]:
    fetches: list[Fetch] = [
        ("model", "fetch_model", "a/open", ""),
        ("with a token", "fetch_model", "a/mine", SECRET),
        ("old", "fetch_model", "a/old", ""),
        ("words", "fetch_words", "a/no", ""),
        ("gated", "fetch_model", "a/gated", ""),
        ("gated for others", "fetch_model", "a/gated", "hf_other"),
        ("missing", "fetch_model", "a/missing", ""),
        ("missing for me", "fetch_model", "a/missing", SECRET),
        ("down", "fetch_model", "a/down", ""),
    ]
    return outcomes(fetches, home, here.url)


def test_everything_that_an_engine_reads_is_fetched_and_nothing_twice(
    found: dict[str, Any], here: Hub
) -> None:
    assert found["model"] == COMPLETE
    assert found["with a token"] == COMPLETE
    assert found["old"] == ["config.json", "pytorch_model.bin"]
    assert found["words"] == ["config.json"]
    weights = [path for path in here.asked if path == f"a/open/resolve/{'a' * 40}/{COMPLETE[3]}"]
    assert len(weights) <= 2, "it is looked at, and fetched"


REFUSALS = {
    "gated": "a/gated: 127.0.0.1 gives it only to accounts that its owner lets in, and it needs "
    "HF_TOKEN: see http://127.0.0.1",
    "gated for others": "a/gated: 127.0.0.1 does not accept the token in HF_TOKEN",
    "missing": "a/missing: 127.0.0.1 has no such model, or it is private and needs HF_TOKEN; "
    "correct the id, or give a folder",
    "missing for me": "a/missing: 127.0.0.1 has no such model, or HF_TOKEN may not read it; ",
    "down": "a/down: 127.0.0.1 answered with status 503; check the network, HF_ENDPOINT",
}


@pytest.mark.parametrize(("name", "sentence"), REFUSALS.items())
def test_what_can_not_be_fetched_is_said_in_one_sentence(
    found: dict[str, Any], name: str, sentence: str
) -> None:
    assert found[name].startswith(sentence) and "\n" not in found[name]
    assert SECRET not in found[name]


@pytest.mark.usefixtures("found")
def test_what_is_in_the_cache_serves_without_the_hub(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hung:
        # It takes connections and answers none.
        endpoint = f"http://127.0.0.1:{hung.getsockname()[1]}"
        there: Fetch = ("there", "fetch_model", "a/open", "")
        absent: Fetch = ("absent", "fetch_model", "a/absent", "")
        silent = outcomes([there, absent], home, endpoint)
        offline = outcomes([there, absent], home, endpoint, HF_HUB_OFFLINE="1")
    assert silent["there"] == offline["there"] == COMPLETE
    assert silent["absent"].startswith("a/absent: 127.0.0.1 can't be reached (ReadTimeout); check")
    assert offline["absent"] == (
        f"a/absent: the cache {home}/hub has not all of it, and HF_HUB_OFFLINE is set; fetch it "
        "once without, or give a folder"
    )


def test_a_password_in_the_hubs_address_is_not_shown(tmp_path: Path) -> None:
    endpoint = "http://user:password@127.0.0.1:9"
    told = outcomes([("x", "fetch_model", "a/b", "")], tmp_path, endpoint)["x"]
    assert told.startswith("a/b: 127.0.0.1 can't be reached (ConnectError)")
    assert "password" not in told


@pytest.mark.parametrize(
    ("model", "is_one"),
    [("Qwen/Qwen3-0.6B", True), ("a/b/c", False), ("/a/b", False), ("./a", False), ("gpt2", False)],
)
def test_an_id_is_an_owner_and_a_name(model: str, is_one: bool) -> None:
    assert is_hub_id(model) is is_one


def test_a_folder_is_no_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "owner" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert not is_hub_id("owner/name")
    assert hub_name("owner/name/") == hub_name("Qwen/name") == "name"


def test_the_wait_for_the_hub_is_one_of_seconds() -> None:
    assert 0 < model_hub.ANSWER_S <= 10
