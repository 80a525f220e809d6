"""Every link in TLS: callers and a device to the gateway, the gateway to its engine."""

from __future__ import annotations

import shutil
import ssl
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.certificates import Authority, Issued, authority, needs_openssl
from tests.integration.agent import start_agent
from tests.servers import Server, eventually, free_port, metric_in, start
from tests.stand_in import Answer, StandIn, Table, stand_in

pytestmark = [pytest.mark.integration, needs_openssl]
TOKEN = "token-of-the-phone"
MODEL = "small"
CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}
COMPLETION = {
    "id": "c",
    "object": "chat.completion",
    "model": MODEL,
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    ],
}


@dataclass
class Encrypted:
    """A gateway at `url`; `inside` is that of its operators."""

    known: Authority
    server: Server
    url: str
    inside: str
    folder: Path
    engine: StandIn

    def client(self, shows: Issued | None = None) -> httpx.Client:
        return httpx.Client(verify=self.known.client(shows), trust_env=False, base_url=self.url)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("known"))


def start_encrypted(folder: Path, config: dict[str, Any]) -> Server:
    file = folder / "gateway.yaml"
    file.write_text(yaml.safe_dump(config))
    url = f"http://127.0.0.1:{config['operations']['port']}"
    command = [sys.executable, "-m", "gateway", "--config", str(file)]
    return start("gateway", command, folder, url)


def config_for(folder: Path, engine: str, known: Authority) -> dict[str, Any]:
    shows = known.issue("of-the-gateway")
    return {
        "listen": {
            "port": free_port(),
            "tls": {"certificate": str(folder / "tls.crt"), "key": str(folder / "tls.key")},
        },
        "operations": {"port": free_port()},
        "pools": {
            "edge": {
                "tier": "edge",
                "probe": "models",
                "endpoints": [engine],
                "tls": {"ca": known.ca, "certificate": shows.certificate, "key": shows.key},
            }
        },
        "devices": {"tokens": {"phone": sha256(TOKEN.encode()).hexdigest()}},
    }


def show(folder: Path, issued: Issued) -> None:
    shutil.copy(issued.certificate, folder / "tls.crt")
    shutil.copy(issued.key, folder / "tls.key")


@pytest.fixture(scope="module")
def encrypted(known: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Encrypted]:
    folder = tmp_path_factory.mktemp("gateway")
    show(folder, known.issue("first"))
    answers: Table = {
        "/v1/models": Answer({"object": "list", "data": [{"id": MODEL, "object": "model"}]}),
        "/v1/chat/completions": Answer(COMPLETION),
    }
    tls = known.server(known.issue("engine"), asks_for_certificates=True)
    with stand_in(answers, tls) as engine:
        config = config_for(folder, engine.url, known)
        server = start_encrypted(folder, config)
        url = f"https://127.0.0.1:{config['listen']['port']}"
        eventually(lambda: server.answers("/ready"), "the gateway is ready", 60)
        yield Encrypted(known, server, url, server.url, folder, engine)
        server.stop()


def test_a_caller_is_answered_by_an_engine_that_knows_the_gateway(encrypted: Encrypted) -> None:
    with encrypted.client() as client:
        answer = client.post("/v1/chat/completions", json=CHAT)
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"] == "hi"


def test_who_does_not_trust_the_authority_or_speaks_no_tls_gets_nothing(
    encrypted: Encrypted,
) -> None:
    with pytest.raises(httpx.ConnectError, match="certificate"):
        httpx.get(encrypted.url + "/health")
    with pytest.raises(httpx.TransportError):
        httpx.get(encrypted.url.replace("https", "http") + "/health")
    with encrypted.client() as client:
        assert client.get("/health").status_code == 200


def test_a_device_connects_by_its_own_list_of_authorities(
    encrypted: Encrypted, tmp_path: Path
) -> None:
    agent = start_agent(encrypted.url, tmp_path, "--gateway-ca", encrypted.known.ca, token=TOKEN)
    try:
        eventually(lambda: linked(agent), "the link is up")
    finally:
        agent.stop()


def linked(agent: Server) -> bool:
    return "link-lost" not in httpx.get(agent.url + "/ready").json()["conditions"]


def test_a_new_certificate_is_shown_without_a_restart_and_connections_stay(
    encrypted: Encrypted,
) -> None:
    def shown() -> str:
        with encrypted.client() as client:
            client.get("/health")
            stream = client.get("/health").extensions["network_stream"]
            tls: ssl.SSLObject = stream.get_extra_info("ssl_object")
            subject: Any = (tls.getpeercert() or {})["subject"]
            return str(dict(pair for (pair,) in subject)["commonName"])

    with encrypted.client() as old:
        assert old.get("/health").status_code == 200
        assert shown() == "first"
        show(encrypted.folder, encrypted.known.issue("second", days=5))
        eventually(lambda: shown() == "second", "the new certificate is shown")
        assert old.get("/health").status_code == 200
    page = httpx.get(encrypted.inside + "/metrics").text
    left = metric_in(page, "tierflow_certificate_expires_seconds", setting="listen.tls.certificate")
    assert 4 * 86400 < left < 5 * 86400
    ready = httpx.get(encrypted.inside + "/ready").json()
    assert "listen.tls.certificate" in ready["conditions"]["certificate-ending"]


def test_a_file_that_is_not_there_stops_the_start_with_one_line(
    known: Authority, tmp_path: Path
) -> None:
    server = start_encrypted(tmp_path, config_for(tmp_path, "https://127.0.0.1:9", known))
    assert server.process.wait(20) == 2
    (line,) = server.output().splitlines()
    assert line.startswith("gateway: listen.tls.certificate: ") and "No such file" in line
