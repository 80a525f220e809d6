"""docs/speculation.md is all that somebody needs who writes a device of their own."""

import json
from pathlib import Path

from gateway.protocol.tokenizer import PROBE, fingerprint
from services.device_agent.text import TextModel
from tests.servers import SHIPPED_FAMILY

PAGE = (Path(__file__).parents[4] / "docs" / "speculation.md").read_text()


def test_the_probe_text_stands_in_the_document() -> None:
    quoted = PAGE.split("```json\n")[1].split("\n```")[0]
    assert json.loads(quoted) == PROBE


def test_the_document_s_example_is_the_shipped_tokenizer_s() -> None:
    ids = TextModel(SHIPPED_FAMILY / "rill-device").encode(PROBE)
    assert f"makes {len(ids)} ids" in PAGE
    assert f"`{fingerprint(ids)}`" in PAGE
    assert json.dumps(ids[:6], separators=(",", ":"))[:-1] in PAGE
