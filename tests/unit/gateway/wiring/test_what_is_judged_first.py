"""What can't work is said before the gateway's first line, by the setting that names it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from structlog.testing import capture_logs

from gateway.errors import ConfigError
from gateway.settings import Settings
from gateway.wiring.app import gateway

pytestmark = pytest.mark.anyio
NOWHERE = "/nowhere/tls.crt"
PAIR = {"certificate": NOWHERE, "key": "/nowhere/tls.key"}
EDGE: dict[str, Any] = {"tier": "edge", "endpoints": ["https://127.0.0.1:1"]}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"listen": {"tls": PAIR}}, f"listen.tls.certificate: {NOWHERE}: No such file"),
        (
            {"operations": {"port": 8081, "tls": PAIR}},
            f"operations.tls.certificate: {NOWHERE}: No such file",
        ),
        (
            {"pools": {"edge": EDGE | {"tls": {"ca": NOWHERE}}}},
            f"pools.edge.tls.ca: {NOWHERE}: No such file",
        ),
        (
            {"state": {"redis": {"url": "rediss://127.0.0.1:1", "tls": {"ca": NOWHERE}}}},
            f"state.redis.tls.ca: {NOWHERE}: No such file",
        ),
        ({"keys": {"file": "/"}}, "keys.file: /: Is a directory"),
        ({"listen": {"host": "0.0.0.0"}}, "keys: the gateway listens on 0.0.0.0"),
        ({"cascade": {"predictor": "/nowhere.json"}}, "cascade.predictor: "),
    ],
    ids=str,
)
async def test_what_a_file_shows_is_judged_with_the_other_settings(
    tmp_path: Path, given: dict[str, Any], says: str
) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(yaml.safe_dump({"pools": {"edge": EDGE}} | given))
    settings = Settings.load(file)
    with capture_logs() as lines, pytest.raises(ConfigError) as refused:
        async with gateway(settings):
            pytest.fail("it can't work")
    assert refused.value.message.startswith(says) and "\n" not in refused.value.message
    assert "gateway_starts" not in {line["event"] for line in lines}
