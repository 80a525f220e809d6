"""The way to an API server, with the official client. Its errors become ours."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from k8s.discovery.errors import ApiLost, ClusterUnknown, refused
from k8s.discovery.slices import Status, decode

if TYPE_CHECKING:
    from kubernetes.aio.client import ApiClient, Configuration

LIST_S = 30.0
"""Seconds that a list may take."""
OPEN_S = 10.0
"""Seconds that a watch may take to begin."""
GRACE_S = 5.0
"""Seconds that a watch may last longer than the API server was asked to keep it."""
KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
"""A watch is silent for minutes: this tells one whose API server vanished, within 25 seconds."""
NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

# The client is imported where it is used: it costs half a second and 50 MB, which a gateway with
# nothing but static lists need not pay.


class Api:
    """A client for the EndpointSlices of one API server.

    Raises ApiRefused (Expired for 410) and ApiLost.
    """

    def __init__(self, client: ApiClient) -> None:
        from kubernetes.aio.client import DiscoveryV1Api

        self._client = client
        self._slices = DiscoveryV1Api(client)

    async def list(self, namespace: str, selector: str) -> bytes:
        with _lost():
            response = await self._slices.list_namespaced_endpoint_slice_without_preload_content(
                namespace, label_selector=selector, _request_timeout=LIST_S
            )
            async with response:
                body: bytes = await response.read()
        if response.status != 200:
            raise refused(response.status, _message(body), namespace)
        return body

    @asynccontextmanager
    async def watch(
        self, namespace: str, selector: str, version: str, seconds: int
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The events after `version`, one JSON line each, for at most so many seconds."""
        with _lost():
            async with asyncio.timeout(OPEN_S):
                open_watch = self._slices.list_namespaced_endpoint_slice_without_preload_content
                response = await open_watch(
                    namespace,
                    label_selector=selector,
                    resource_version=version,
                    allow_watch_bookmarks=True,
                    timeout_seconds=seconds,
                    watch=True,
                    _request_timeout=seconds + GRACE_S,
                )
        async with response:
            if response.status != 200:
                with _lost():
                    body = await response.read()
                raise refused(response.status, _message(body), namespace)
            _keep_alive(response)
            yield _lines(response.content)

    async def close(self) -> None:
        await self._client.close()


async def open_api(kubeconfig: str | None) -> Api:
    """Read the credentials anew and make a client of them. Raises ClusterUnknown."""
    from kubernetes.aio.client import ApiClient

    return Api(ApiClient(configuration=await _configuration(kubeconfig)))


def check(kubeconfig: str | None) -> None:
    """Raises ClusterUnknown when neither a pod's account nor a kubeconfig names an API server."""
    from kubernetes.aio import config
    from kubernetes.aio.client import Configuration

    with _unknown(kubeconfig):
        if kubeconfig is None:
            config.load_incluster_config(Configuration())
        else:
            config.list_kube_config_contexts(kubeconfig)


def own_namespace(kubeconfig: str | None) -> str:
    """Of this pod, or of the kubeconfig's context. Raises ClusterUnknown."""
    from kubernetes.aio import config

    with _unknown(kubeconfig):
        if kubeconfig is None:
            return NAMESPACE_FILE.read_text().strip()
        _, current = config.list_kube_config_contexts(kubeconfig)
        return str(current["context"].get("namespace") or "default")


async def _configuration(kubeconfig: str | None) -> Configuration:
    from kubernetes.aio import config
    from kubernetes.aio.client import Configuration

    configuration = Configuration()
    with _unknown(kubeconfig):
        if kubeconfig is None:
            # Reads the token's file again every minute, and so follows its rotation.
            config.load_incluster_config(configuration)
        else:
            await config.load_kube_config(
                kubeconfig, client_configuration=configuration, persist_config=False
            )
    return configuration


@contextmanager
def _unknown(kubeconfig: str | None) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # The client raises whatever its parts do: a file that is missing, is no YAML, lacks a key.
        why = " ".join(str(error).split()) or type(error).__name__
        if kubeconfig is None:
            raise ClusterUnknown(
                f"not inside a cluster ({why}); set discovery.kubeconfig to a kubeconfig file"
            ) from error
        raise ClusterUnknown(f"discovery.kubeconfig: {kubeconfig} is of no use: {why}") from error


@contextmanager
def _lost() -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise ApiLost("the API server gave no answer in time") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise ApiLost(f"no connection to the API server ({type(error).__name__})") from error


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    while True:
        with _lost():
            line = await content.readline()
        if not line:
            return
        yield line


def _keep_alive(response: aiohttp.ClientResponse) -> None:
    transport = response.connection.transport if response.connection else None
    link = transport.get_extra_info("socket") if transport else None
    if link is None:
        return
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        # Not every system has all of them.
        if (option := getattr(socket, name, None)) is not None:
            link.setsockopt(socket.IPPROTO_TCP, option, value)


def _message(body: bytes) -> str:
    try:
        message = decode(body, Status).message
    except ValueError:
        message = None
    return message or "it gave no reason"
