"""One install for all tests, in a namespace of its own that goes with it."""

from __future__ import annotations

import base64
import os
import uuid
from collections.abc import Iterator

import httpx
import pytest
from openai import OpenAI

from tests.e2e.cluster import RELEASE, Cluster, cluster, reason_to_skip


@pytest.fixture(scope="session")
def empty_cluster() -> Iterator[Cluster]:
    """A cluster without our release; what the tests leave in the namespace goes at the end."""
    if reason := reason_to_skip(os.environ):
        pytest.skip(reason)
    found = cluster(f"tierflow-test-{uuid.uuid4().hex[:8]}")
    yield found
    with found.helm() as helm:
        helm.uninstall(RELEASE, ignore_not_found=True)
    found.delete_namespace()


@pytest.fixture(scope="session")
def installed(empty_cluster: Cluster) -> Cluster:
    empty_cluster.install()
    return empty_cluster


@pytest.fixture
def gateway(installed: Cluster) -> Iterator[str]:
    with installed.forwarded(f"{RELEASE}-gateway", 8080) as url:
        yield url


@pytest.fixture
def operations(installed: Cluster) -> Iterator[httpx.Client]:
    with (
        installed.forwarded(f"{RELEASE}-gateway-operations", 8081) as url,
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        yield client


@pytest.fixture
def key(installed: Cluster) -> str:
    """The first caller's key."""
    return base64.b64decode(installed.secret(f"{RELEASE}-keys")["key"]).decode()


@pytest.fixture
def http(gateway: str, key: str) -> Iterator[httpx.Client]:
    shown = {"authorization": f"Bearer {key}"}
    with httpx.Client(base_url=gateway, headers=shown, timeout=60) as client:
        yield client


@pytest.fixture
def client(gateway: str, key: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{gateway}/v1", api_key=key, timeout=120) as client:
        yield client
