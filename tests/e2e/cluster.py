"""A real cluster: whether there is one to test on, and what the tests do to it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import helm_python

from k8s.preflight.cluster.connection import Connection, Refused, Unreachable, connect
from k8s.preflight.failure import UsageFailure
from k8s.preflight.rendering import Object, merged, overlay
from tests.servers import CHECKOUT, eventually

SWITCH = "TIERFLOW_CLUSTER_TESTS"
VALUES = "TIERFLOW_CLUSTER_VALUES"
"""Values files over deploy/kind/values.yaml, with `:` between them."""

RELEASE = "tierflow"
STARTUP_S = 1800.0
"""For images to be pulled and models to load, on a slow machine."""
CALL_S = 30.0


@dataclass(frozen=True)
class Cluster:
    api: Connection
    kubeconfig: Path
    kubectl: str
    namespace: str
    values: Object

    def helm(self) -> helm_python.Config:
        return helm_python.Config(kubeconfig_path=self.kubeconfig, namespace=self.namespace)

    def install(self, values: Object | None = None) -> None:
        """Install, and wait until every pod is ready."""
        with self.helm() as helm:
            helm.install(
                CHECKOUT / "charts" / "tierflow",
                RELEASE,
                self.values if values is None else values,
                create_namespace=True,
                wait="watcher",
                timeout=int(STARTUP_S),
            )

    def upgrade(self, values: Object) -> None:
        with self.helm() as helm:
            helm.upgrade(
                CHECKOUT / "charts" / "tierflow",
                RELEASE,
                values,
                wait="watcher",
                timeout=int(STARTUP_S),
            )

    def pods(self, **labels: str) -> list[Object]:
        """Those of the release with these labels, `component` and `pool`, that are not ending."""
        names = {"component": "app.kubernetes.io/component", "pool": "tierflow.dev/pool"}
        selector = [f"app.kubernetes.io/instance={RELEASE}"]
        selector += [f"{names[name]}={value}" for name, value in labels.items()]
        found = self.api.get(
            f"/api/v1/namespaces/{self.namespace}/pods", labelSelector=",".join(selector)
        )
        return [each for each in found["items"] if "deletionTimestamp" not in each["metadata"]]

    def secret(self, name: str) -> Mapping[str, str]:
        found = self.api.get(f"/api/v1/namespaces/{self.namespace}/secrets/{name}")
        return dict(found["data"])

    def layered(self, further: Object) -> Object:
        """The values of the install with others over them."""
        return overlay(self.values, further)

    def delete_pod(self, name: str) -> None:
        """At once, as a node that dies would."""
        self._kubectl("delete", "pod", name, "--grace-period=0", "--force", "--wait=false")

    def scale(self, deployment: str, replicas: int) -> None:
        self._kubectl("scale", "deployment", deployment, f"--replicas={replicas}")

    def delete_namespace(self) -> None:
        self._kubectl("delete", "namespace", self.namespace, "--ignore-not-found", "--wait=false")

    def _kubectl(self, *arguments: str) -> None:
        command = [self.kubectl, "--kubeconfig", str(self.kubeconfig), "-n", self.namespace]
        subprocess.run([*command, *arguments], check=True, capture_output=True, timeout=CALL_S)

    @contextmanager
    def forwarded(self, service: str, port: int) -> Iterator[str]:
        """The URL under which a Service's port answers here."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            local = free.getsockname()[1]
        command = [self.kubectl, "--kubeconfig", str(self.kubeconfig), "-n", self.namespace]
        command += ["port-forward", f"svc/{service}", f"{local}:{port}"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            try:
                eventually(lambda: _listens(local, process), "kubectl port-forward", CALL_S)
                yield f"http://127.0.0.1:{local}"
            finally:
                process.terminate()


def reason_to_skip(environment: Mapping[str, str]) -> str:
    """Empty where there is a cluster that the tests may install into."""
    if not environment.get(SWITCH):
        return "installs into a cluster: run it with `make test-cluster`"
    kubeconfig = environment.get("KUBECONFIG", "")
    if not kubeconfig:
        return "KUBECONFIG names no cluster"
    if not shutil.which("kubectl", path=environment.get("PATH")):
        return "kubectl is not installed"
    try:
        connect(Path(kubeconfig), None, CALL_S).get("/version")
    except (UsageFailure, Refused, Unreachable) as why:
        return f"the cluster of KUBECONFIG can't be used: {why}"
    return ""


def cluster(namespace: str) -> Cluster:
    """The one that KUBECONFIG points to. Raises what `connect` raises."""
    kubeconfig = Path(os.environ["KUBECONFIG"])
    further = [Path(file) for file in os.environ.get(VALUES, "").split(":") if file]
    return Cluster(
        api=connect(kubeconfig, None, CALL_S),
        kubeconfig=kubeconfig,
        kubectl=shutil.which("kubectl") or "kubectl",
        namespace=namespace,
        values=merged([CHECKOUT / "deploy" / "kind" / "values.yaml", *further]),
    )


def ready(pod: Mapping[str, Any]) -> bool:
    conditions = pod["status"].get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _listens(port: int, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "kubectl port-forward ended"
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
