"""YAML and JSON of the documents, each read by the part that readers hand it to."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from gateway.core.types import InferenceRequest
from gateway.errors import GatewayError
from gateway.protocol.device_link.work import Model
from gateway.protocol.requests.collective import FEEDBACK_PATH, CollectiveBlock, Feedback
from gateway.protocol.tokenizer import PROBE
from gateway.serving.chat.request import read as read_chat
from gateway.settings import Settings
from services.device_agent.membership.profile import ProfileFailed, read_profile
from services.engine_simulator.engine.faults import Faults
from services.engine_simulator.errors import EngineError
from tests.charts.helm import Refusal, Rendering, render
from tests.documents.blocks import CHECKOUT, Block, BrokenExample

CHARTS = ("tierflow", "model-pool")
CHAT = "/v1/chat/completions"
FAULTS = "/simulator/faults"
POOLS = {"pools": {"edge": {"tier": "edge", "endpoints": ["http://127.0.0.1:8101"]}}}
_CUT = re.compile(r"([0-9a-f]*)…")
_HEX = 64


def whole(text: str) -> str:
    """With hashes in place of what the page has cut short."""
    return _CUT.sub(lambda found: (found[1] * _HEX or "0" * _HEX)[:_HEX], text)


def read_yaml(block: Block) -> None:
    """As settings of the gateway, a chart's values or a Role's rules: what its names say it is."""
    values = yaml.safe_load(whole(block.text))
    if not isinstance(values, dict):
        raise BrokenExample(f"{block}: expected names with values")
    if values.keys() <= Settings.model_fields.keys():
        load_settings(values)
    elif values.keys() == {"rules"}:
        check_rules(values["rules"])
    else:
        rendered(values, _chart_of(values))


def load_settings(values: Mapping[str, Any]) -> None:
    """The page may leave out the pools, which every gateway has."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "gateway.yaml")
        config.write_text(yaml.safe_dump({**POOLS, **values}))
        try:
            Settings.load(config)
        except GatewayError as error:
            raise BrokenExample(str(error)) from error


def check_rules(rules: list[Any]) -> None:
    """They are those of a Role in the chart."""
    roles = render().of_kind("Role")
    if not any(all(rule in role["rules"] for rule in rules) for role in roles):
        raise BrokenExample(f"no Role of the chart has the rules {rules}")


def rendered(values: Mapping[str, Any], chart: str, release: str = "tierflow") -> Rendering:
    """What the chart makes of the values; its schema refuses names that it does not know."""
    try:
        return render(values, chart=chart, release=release)
    except Refusal as refusal:
        raise BrokenExample(f"charts/{chart}: {refusal}") from refusal


def _chart_of(values: Mapping[str, Any]) -> str:
    for chart in CHARTS:
        schema = json.loads((CHECKOUT / "charts" / chart / "values.schema.json").read_text())
        if values.keys() <= schema["properties"].keys():
            return chart
    raise BrokenExample(f"no settings and no chart's values: {', '.join(values)}")


def read_json(block: Block) -> None:
    try:
        value = json.loads(block.text)
    except ValueError as error:
        raise BrokenExample(f"{block}: {error}") from error
    if isinstance(value, str):
        if value != PROBE:
            raise BrokenExample(f"{block}: not the text of gateway.protocol.tokenizer")
    elif "tierflow" in value:
        _read_extension(value)
    elif "description" in value:
        _read_profile(block.text)
    elif "stages" not in value:
        raise BrokenExample(f"{block}: nobody has said who reads it: see {__name__}")


def _read_extension(value: Mapping[str, Any]) -> None:
    """The field `tierflow` of an answer, or of a request."""
    collective = value["tierflow"].get("collective", {})
    if "decided_by" in collective:
        block = _of_model(CollectiveBlock, collective)
        block.model_validate(collective)
    else:
        read_body(CHAT, json.dumps({"messages": [{"role": "user", "content": ""}], **value}))


def _of_model(model: type[CollectiveBlock], given: Mapping[str, Any]) -> type[CollectiveBlock]:
    if unknown := given.keys() - model.model_fields.keys():
        raise BrokenExample(f"no field of an answer: {', '.join(sorted(unknown))}")
    return model


def _read_profile(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "tierflow-device.json").write_text(text)
        try:
            read_profile(Path(folder), Model(name="any", family="any"))
        except ProfileFailed as failure:
            raise BrokenExample(str(failure)) from failure


def _asked(body: Mapping[str, Any]) -> InferenceRequest:
    raw = json.dumps(body).encode()
    return InferenceRequest(id="", path=CHAT, model="any", body=raw, received=0)


def read_body(path: str, text: str) -> None:
    """A request's body, by the reader of its route."""
    try:
        body = json.loads(text)
    except ValueError as error:
        raise BrokenExample(f"{path}: {error}: {text}") from error
    try:
        if path == CHAT:
            asked = json.dumps({"model": "any", **body}).encode()
            read_chat(
                InferenceRequest(id="", path=CHAT, model="any", body=asked, received=0), "any"
            )
        elif path == FEEDBACK_PATH:
            Feedback.model_validate({**body, "id": "chatcmpl-" + "0" * 32})
        elif path == FAULTS:
            Faults(seed=0).set_all(text.encode())
    except (EngineError, GatewayError, ValidationError) as error:
        raise BrokenExample(f"{path}: {error}") from error
