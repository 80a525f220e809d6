import socket
from pathlib import Path
from typing import Any

import pytest

from gateway.settings.connections import ConnectionSettings
from services.device_agent.__main__ import port_problem, report, server_config
from services.device_agent.arguments import parser


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    """An application without an answer."""


def test_a_connection_stays_open_as_long_as_at_the_gateway(tmp_path: Path) -> None:
    arguments = parser().parse_args(["--model", str(tmp_path)])
    config = server_config(arguments, nothing)
    assert config.timeout_keep_alive == ConnectionSettings().keep_alive_s


def test_an_interrupt_while_it_starts_ends_it_without_a_word(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    assert report(interrupted) == 130
    assert capsys.readouterr().err == ""


def test_a_port_that_is_taken_is_named_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert port_problem("127.0.0.1", port) == (
            f"port {port} is in use: choose another with --port"
        )
    assert port_problem("127.0.0.1", port) == ""
    assert "listen there" in port_problem("198.51.100.1", port)
