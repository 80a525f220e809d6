"""What can go wrong between here and an API server.

DiscoveryError
├── ClusterUnknown   no way to an API server: no kubeconfig, and not inside a cluster
├── ApiLost          no answer, or a broken one
└── ApiRefused       it answered, with an error
    └── Expired      410: the version to go on from is forgotten, only a new list helps
"""

from __future__ import annotations


class DiscoveryError(Exception):
    """A failure between here and an API server.

    Its text is one line for the operator, with what to do where that is known.
    """


class ClusterUnknown(DiscoveryError):
    pass


class ApiLost(DiscoveryError):
    pass


class ApiRefused(DiscoveryError):
    """A refusal by the API server; `status` is HTTP's, or the code of a watch's ERROR event."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Expired(ApiRefused):
    pass


def refused(status: int, message: str, namespace: str) -> ApiRefused:
    """The error for a status of the API server's, which said `message`."""
    if status == 410:
        return Expired(status, "the version to watch from has expired")
    if status == 403:
        return ApiRefused(
            status,
            f"the gateway may not read EndpointSlices in namespace {namespace}: give its service "
            "account a Role there with get, list and watch on endpointslices in the API group "
            f"discovery.k8s.io ({message})",
        )
    if status == 401:
        return ApiRefused(status, f"the API server does not accept the credentials ({message})")
    return ApiRefused(status, f"the API server answered {status} ({message})")
