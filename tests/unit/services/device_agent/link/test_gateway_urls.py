"""What a gateway's URL may be, and by which files TLS to it is spoken."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.device_agent.link.gateway_tls import BY_THE_SYSTEM, GatewayTls, TlsFilesUnusable
from services.device_agent.link.greeting import websocket_url
from tests.certificates import authority, needs_openssl


def test_https_is_a_web_socket_over_tls() -> None:
    assert websocket_url("https://gateway:8080/") == "wss://gateway:8080/v1/devices/connect"
    assert websocket_url("http://gateway:8080") == "ws://gateway:8080/v1/devices/connect"


@pytest.mark.parametrize("url", ["gateway:8080", "ftp://gateway", "http://", ""])
def test_anything_else_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is not an http"):
        websocket_url(url)


def test_a_password_in_it_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match="no user and no password") as caught:
        websocket_url("https://ann:p4ss@gateway:8080")
    assert "p4ss" not in str(caught.value)


@needs_openssl
def test_the_files_are_read_again_for_each_connection(tmp_path: Path) -> None:
    known = authority(tmp_path)
    shows = known.issue("device")
    tls = GatewayTls(Path(known.ca), Path(shows.certificate), Path(shows.key))
    assert tls.context().check_hostname and BY_THE_SYSTEM.context().check_hostname
    Path(known.ca).write_text("no PEM")
    with pytest.raises(TlsFilesUnusable, match="the files for TLS to the gateway"):
        tls.context()
    Path(known.ca).unlink()
    with pytest.raises(TlsFilesUnusable, match="No such file"):
        tls.context()
