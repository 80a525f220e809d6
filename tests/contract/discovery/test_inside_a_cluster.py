"""Discovery with a pod's own service account: its token and certificate, over TLS."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from kubernetes.aio.config import incluster_config

from k8s.discovery import cluster
from k8s.discovery.discovery import Discovery, DiscoveryScope
from loadtest.kubernetes_api import (
    ApiServer,
    endpoint_slice,
    pod,
    running_api_server,
    shortest_pause_s,
)
from tests.contract.discovery.test_discovery import Heard

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls") / "server.pem")


def self_signed(path: Path) -> Path:
    """A certificate that signs itself, with its key in the same file."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    try:
        subprocess.run(
            [*command, "-keyout", str(path), "-out", str(path) + ".crt"],
            check=True,
            capture_output=True,
        )
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    path.write_text(path.read_text() + Path(str(path) + ".crt").read_text())
    return path


@asynccontextmanager
async def inside(
    certificate: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ApiServer]:
    """An API server, and this process as a pod would find itself beside it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    (folder / "token").write_text("first")
    (folder / "namespace").write_text("site")
    async with running_api_server(context) as api:
        api.token = "first"
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(api.port))
        monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(folder / "token"))
        monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(certificate))
        monkeypatch.setattr(cluster, "NAMESPACE_FILE", folder / "namespace")
        api.put(endpoint_slice("a", pod("10.0.0.1"), namespace="site"))
        yield api


async def test_a_pod_needs_nothing_but_its_service_account(
    certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with inside(certificate, tmp_path, monkeypatch) as api:
        cluster.check(None)
        heard = Heard()
        discovery = Discovery(
            DiscoveryScope(namespaces=[cluster.own_namespace(None)]), heard, shortest_pause_s
        )
        discovery.start()
        await heard.until(lambda: bool(heard.snapshots) and heard.ids == ["10.0.0.1"])
        await heard.until(lambda: heard.regains == 1)

        # The kubelet renews the token's file; the API server knows the new one only.
        (tmp_path / "token").write_text("second")
        api.token = "second"
        api.drop()
        api.put(endpoint_slice("b", pod("10.0.0.2"), namespace="site"))
        await heard.until(lambda: heard.ids == ["10.0.0.1", "10.0.0.2"])
        assert api.requests[-1].token == "second"
        await discovery.stop()


async def test_a_server_with_a_foreign_certificate_is_not_told_the_token(
    certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with inside(certificate, tmp_path, monkeypatch) as api:
        foreign = self_signed(tmp_path / "foreign.pem")
        monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(foreign))
        heard = Heard()
        discovery = Discovery(DiscoveryScope(namespaces=["site"]), heard, shortest_pause_s)
        discovery.start()
        await heard.until(lambda: bool(heard.problems))
        assert "no connection to the API server" in heard.problems[0]
        assert api.requests == []
        await discovery.stop()
