"""The client that a kubeconfig or a pod's service account gives, checked before it is used.

No message of this module holds a token, nor does what it raises lead to one.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from kubernetes.client import ApiClient, Configuration
from kubernetes.config import (
    ConfigException,
    load_incluster_config,
    new_client_from_config,
)

from k8s.preflight.failure import UsageFailure

SENDABLE = re.compile("[!-~]+")
"""What an HTTP header may carry after the scheme."""


def client(kubeconfig: Path | None, context: str | None) -> ApiClient:
    """By kubeconfig (its usual place if None), or as a pod inside the cluster.

    Raises UsageFailure when that can't be used.
    """
    inside = "KUBERNETES_SERVICE_HOST" in os.environ and "KUBECONFIG" not in os.environ
    if kubeconfig is None and context is None and inside:
        source = "the pod's service account"
    else:
        source = f"kubeconfig {kubeconfig or os.environ.get('KUBECONFIG') or '~/.kube/config'}"
        inside = False
        _check_file(kubeconfig)
    try:
        with _logged() as problems:
            credentials = _inside() if inside else _outside(kubeconfig, context)
    except (ConfigException, OSError, yaml.YAMLError, ValueError, TypeError) as error:
        raise UsageFailure(f"{source}: {_one_line(str(error))}") from error
    if problems:
        raise UsageFailure(f"{source}: no credentials: {_one_line(problems[0])}")
    _check_token(credentials.configuration, source)
    return credentials


def _check_file(kubeconfig: Path | None) -> None:
    """Raises UsageFailure where none of the files is there."""
    named = [str(kubeconfig)] if kubeconfig else os.environ.get("KUBECONFIG", "").split(os.pathsep)
    files = [file for file in named if file] or ["~/.kube/config"]
    if not any(Path(file).expanduser().exists() for file in files):
        raise UsageFailure(
            f"there is no kubeconfig {', '.join(files)}: name one with --kubeconfig or KUBECONFIG"
        )


def _inside() -> ApiClient:
    configuration = Configuration()
    load_incluster_config(client_configuration=configuration)
    return ApiClient(configuration)


def _outside(kubeconfig: Path | None, context: str | None) -> ApiClient:
    return new_client_from_config(
        config_file=str(kubeconfig) if kubeconfig else None,
        context=context,
        persist_config=False,
        client_configuration=Configuration(),
    )


def _check_token(configuration: Configuration, source: str) -> None:
    """Without the white space around it, as kubectl reads it from a file. Raises UsageFailure."""
    # It would put the token as it was in place again; a run is too short for it to expire.
    configuration.refresh_api_key_hook = None
    header = configuration.api_key.get("BearerToken")
    if header is None:
        return
    scheme, _, token = header.partition(" ")
    token = token.strip()
    if not SENDABLE.fullmatch(token):
        problem = "holds a character that can't be sent, such as a line break" if token else "empty"
        raise UsageFailure(f"{source}: the token is no good: {problem}; write it there anew")
    configuration.api_key["BearerToken"] = f"{scheme} {token}"


class _Problems(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "root":
            self.messages.append(record.getMessage())


@contextmanager
def _logged() -> Iterator[list[str]]:
    """A credential plugin that fails is only logged by the client, which goes on without it."""
    handler, root = _Problems(), logging.getLogger()
    root.addHandler(handler)
    try:
        yield handler.messages
    finally:
        root.removeHandler(handler)


def _one_line(text: str) -> str:
    return " ".join(text.split())
