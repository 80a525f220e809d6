from pathlib import Path
from typing import Any

from gateway.settings.connections import ConnectionSettings
from services.device_agent.__main__ import server_config
from services.device_agent.arguments import parser


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    """An application without an answer."""


def test_a_connection_stays_open_as_long_as_at_the_gateway(tmp_path: Path) -> None:
    arguments = parser().parse_args(["--model", str(tmp_path)])
    config = server_config(arguments, nothing)
    assert config.timeout_keep_alive == ConnectionSettings().keep_alive_s
