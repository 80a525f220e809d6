"""GET and POST to an API server through the official client, each with a timeout."""

from __future__ import annotations

import json
from http.client import HTTPException
from pathlib import Path
from typing import Any

import urllib3
from kubernetes.client import ApiClient, ApiException

from k8s.preflight.cluster import credentials

PAGE = 500


class Refused(Exception):
    """An answer of the API server with a status other than success."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Unreachable(Exception):
    """A missing answer: no connection, no trust in the certificate, or too late."""


class Connection:
    """A connection to an API server.

    Its answers are the API's JSON as it is, so that objects of other versions can be read.
    """

    def __init__(self, client: ApiClient, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s

    @property
    def server(self) -> str:
        return str(self._client.configuration.host)

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """Raises Refused and Unreachable."""
        return self._request("GET", path, query, None)

    def post(self, path: str, body: dict[str, Any], **query: str) -> dict[str, Any]:
        """Raises Refused and Unreachable."""
        return self._request("POST", path, query, body)

    def items(self, path: str, **query: str) -> list[dict[str, Any]]:
        """All pages of a list. Raises Refused and Unreachable."""
        items: list[dict[str, Any]] = []
        query = {"limit": str(PAGE), **query}
        while True:
            page = self.get(path, **query)
            items += page.get("items") or []
            following = (page.get("metadata") or {}).get("continue")
            if not following:
                return items
            query["continue"] = following

    def _request(
        self, method: str, path: str, query: dict[str, str], body: dict[str, Any] | None
    ) -> dict[str, Any]:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        request = self._client.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            answer = self._client.call_api(*request, _request_timeout=self._timeout_s)
            content = answer.read()
        except urllib3.exceptions.NewConnectionError as error:
            # A kind of TimeoutError to urllib3, for whatever reason there is no connection.
            raise Unreachable(_why(error)) from error
        except urllib3.exceptions.TimeoutError as error:
            raise Unreachable(f"no answer within {self._timeout_s:g} s") from error
        except (urllib3.exceptions.HTTPError, ApiException, OSError) as error:
            raise Unreachable(_why(error)) from error
        except (ValueError, HTTPException) as error:
            # Refused before it was sent. What it says may quote the headers, so it goes no further.
            kind = type(error).__name__
            raise Unreachable(f"the request can't be sent ({kind}): look at the URL") from None
        if not 200 <= answer.status <= 299:
            raise Refused(answer.status, _status_message(content) or f"status {answer.status}")
        try:
            decoded = json.loads(content)
        except ValueError as error:
            raise Unreachable("what answers is no Kubernetes API server") from error
        if not isinstance(decoded, dict):
            raise Unreachable("what answers is no Kubernetes API server")
        return decoded


def connect(kubeconfig: Path | None, context: str | None, timeout_s: float) -> Connection:
    """By kubeconfig (its usual place if None), or as a pod inside the cluster.

    Sends nothing yet. Raises UsageFailure when the kubeconfig can't be used.
    """
    client = credentials.client(kubeconfig, context)
    # One try: a server that is not there shall be reported, and not waited for four times.
    client.rest_client.pool_manager.connection_pool_kw["retries"] = False
    return Connection(client, timeout_s)


def _why(error: Exception) -> str:
    cause = getattr(error, "reason", None) or error
    text = " ".join(str(cause).split())
    return text.rpartition(">: ")[2] or type(error).__name__


def _status_message(content: bytes) -> str:
    """`message` of the Status object that an API server sends with an error."""
    try:
        status = json.loads(content)
    except ValueError:
        return ""
    message = status.get("message") if isinstance(status, dict) else None
    return " ".join(str(message).split()) if message else ""
