"""The gateway's API, as the commands ask it."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import httpx

from gateway.admin.problems import BadInput, CommandRefused
from gateway.protocol.configuration.urls import url_problem

TIMEOUT_S = 10.0


class Api:
    """The operators' API of a gateway. `ca` is the certificate of the authority that vouches for
    it, None: one that the system knows; `server_name` is the name that its certificate must have,
    None: the URL's host."""

    def __init__(
        self, *, url: str, token: str, ca: Path | None = None, server_name: str | None = None
    ) -> None:
        """Raises BadInput."""
        if problem := url_problem(url):
            raise BadInput(f"--url: {problem}")
        if not (token.isascii() and token.isprintable()):
            raise BadInput(
                "the admin token is not printable ASCII; give the gateway's `admin.token`"
            )
        self._url = url.rstrip("/")
        self._certificates = _authorities(ca)
        self._extensions = {"sni_hostname": server_name} if server_name else {}
        self._headers = {"authorization": f"Bearer {token}"}

    def call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        """Raises BadInput where the gateway finds the request wrong, else Refused."""
        try:
            # The admin token goes to the gateway alone, through no proxy of the environment, from
            # which only certificates are taken.
            with httpx.Client(
                timeout=TIMEOUT_S, trust_env=False, verify=self._certificates
            ) as client:
                answer = client.request(
                    method,
                    self._url + path,
                    headers=self._headers,
                    extensions=self._extensions,
                    **arguments,
                )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise CommandRefused(f"{self._url}: {' '.join(str(error).split())}") from error
        try:
            body = answer.json()
        except ValueError as error:
            raise CommandRefused(f"{self._url}: status {answer.status_code}, no JSON") from error
        if answer.is_success and isinstance(body, dict):
            return body
        problem = body.get("error") if isinstance(body, dict) else None
        message = problem.get("message") if isinstance(problem, dict) else None
        explanation = str(message or f"{self._url}: status {answer.status_code}")
        raise BadInput(explanation) if answer.status_code == 400 else CommandRefused(explanation)


def _authorities(ca: Path | None) -> ssl.SSLContext:
    if ca is None:
        return httpx.create_ssl_context()
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "strerror", None) or "no certificates in PEM"
        raise BadInput(f"--ca {ca}: {reason}") from error
