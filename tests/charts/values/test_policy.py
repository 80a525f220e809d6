"""Every pod of every rendering is hardened, bounded and pinned."""

import re
from collections.abc import Callable, Iterator

import pytest

from tests.charts.cases import every_rendering, rendered
from tests.charts.pods import Container, Pod, pods

pytestmark = pytest.mark.helm
UID = 65532
Rule = Callable[[Pod], Iterator[str]]


def runs_as_an_ordinary_user(pod: Pod) -> Iterator[str]:
    for container in pod.containers:
        context = {**pod.spec.get("securityContext", {}), **_context(container)}
        if context.get("runAsNonRoot") is not True:
            yield f"{container['name']}: runAsNonRoot"
        # OpenShift gives each namespace users of its own, and refuses others.
        given = {context.get(name) for name in ("runAsUser", "runAsGroup")}
        if given != {UID} and given != {None}:
            yield f"{container['name']}: user and group"


def writes_nothing_into_its_image(pod: Pod) -> Iterator[str]:
    for container in pod.containers:
        if _context(container).get("readOnlyRootFilesystem") is not True:
            yield f"{container['name']}: readOnlyRootFilesystem"


def has_no_capabilities_and_gains_none(pod: Pod) -> Iterator[str]:
    for container in pod.containers:
        context = _context(container)
        if context.get("capabilities") != {"drop": ["ALL"]}:
            yield f"{container['name']}: capabilities"
        if context.get("allowPrivilegeEscalation") is not False:
            yield f"{container['name']}: allowPrivilegeEscalation"
        if context.get("privileged"):
            yield f"{container['name']}: privileged"


def calls_only_what_the_runtime_allows(pod: Pod) -> Iterator[str]:
    for container in pod.containers:
        context = {**pod.spec.get("securityContext", {}), **_context(container)}
        if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{container['name']}: seccompProfile"


def shares_nothing_with_its_node(pod: Pod) -> Iterator[str]:
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.spec.get(name):
            yield name
    for volume in pod.spec.get("volumes", ()):
        if "hostPath" in volume:
            yield f"volume {volume['name']}: hostPath"
    for container in pod.containers:
        if any("hostPort" in port for port in container.get("ports", ())):
            yield f"{container['name']}: hostPort"


def requests_and_limits_its_resources(pod: Pod) -> Iterator[str]:
    for container in pod.containers:
        for part in ("requests", "limits"):
            given = container.get("resources", {}).get(part, {})
            for resource in {"cpu", "memory"} - given.keys():
                yield f"{container['name']}: {part} no {resource}"


def is_pinned_to_a_version(pod: Pod) -> Iterator[str]:
    for container in pod.containers:
        image = container["image"]
        tag = re.search(r":([\w][\w.-]*)$|@sha256:[0-9a-f]{64}$", image)
        if tag is None or tag[1] == "latest":
            yield f"{container['name']}: image {image}"
        if image.startswith("bitnami") or "/bitnami" in image:
            yield f"{container['name']}: image {image}"


def talks_to_the_api_server_only_as_the_gateway(pod: Pod) -> Iterator[str]:
    # Whether the gateway has use for a token: test_settings.py.
    if pod.component != "gateway" and pod.spec.get("automountServiceAccountToken") is not False:
        yield "automountServiceAccountToken"


def bounds_what_it_writes(pod: Pod) -> Iterator[str]:
    for volume in pod.spec.get("volumes", ()):
        if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
            yield f"volume {volume['name']}: no sizeLimit"


def mounts_what_it_has(pod: Pod) -> Iterator[str]:
    volumes = {volume["name"] for volume in pod.spec.get("volumes", ())}
    mounted = {
        mount["name"] for container in pod.containers for mount in container.get("volumeMounts", ())
    }
    for name in volumes ^ mounted:
        yield f"volume {name}: declared or mounted, not both"


RULES: tuple[Rule, ...] = (
    runs_as_an_ordinary_user,
    writes_nothing_into_its_image,
    has_no_capabilities_and_gains_none,
    calls_only_what_the_runtime_allows,
    shares_nothing_with_its_node,
    requests_and_limits_its_resources,
    is_pinned_to_a_version,
    talks_to_the_api_server_only_as_the_gateway,
    bounds_what_it_writes,
    mounts_what_it_has,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@every_rendering
def test_every_pod(name: str, rule: Rule) -> None:
    found = pods(rendered(name))
    assert found
    assert [f"{pod.owner}: {broken}" for pod in found for broken in rule(pod)] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_each_rule_notices_a_pod_that_breaks_it(rule: Rule) -> None:
    careless = Pod(
        owner="Pod/careless",
        labels={},
        annotations={},
        namespace="any",
        spec={
            "hostNetwork": True,
            "containers": [{"name": "main", "image": "bitnami/redis:latest"}],
            "volumes": [{"name": "scratch", "emptyDir": {}}],
        },
    )
    assert list(rule(careless))


@every_rendering
def test_the_gateways_image_is_asked_for_no_program_but_python(name: str) -> None:
    """It has no shell, nor a `sleep`."""
    found = pods(rendered(name))
    images = {pod.spec["containers"][0]["image"] for pod in found if pod.component == "gateway"}
    asked = [
        program
        for pod in found
        for container in pod.containers
        if container["image"] in images
        for program in _programs(container)
    ]
    assert set(asked) <= {"python", "python3"}


def test_programs_of_probes_and_hooks_are_seen() -> None:
    asked = {
        "command": ["a"],
        "livenessProbe": {"exec": {"command": ["b", "c"]}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}},
        "lifecycle": {"preStop": {"exec": {"command": ["d"]}}},
    }
    assert _programs(asked) == ["a", "b", "d"]


def _programs(container: Container) -> list[str]:
    """What Kubernetes starts in a container beside its entry point."""
    probes = [container.get(f"{name}Probe", {}) for name in ("startup", "readiness", "liveness")]
    actions = [*probes, *container.get("lifecycle", {}).values()]
    commands = [action["exec"]["command"] for action in actions if "exec" in action]
    return [command[0] for command in (container.get("command"), *commands) if command]


def _context(container: Container) -> dict[str, object]:
    return dict(container.get("securityContext", {}))


@every_rendering
def test_the_gateway_may_read_endpoint_slices_and_nothing_else(name: str) -> None:
    found = rendered(name)
    assert not list(found.of_kind("ClusterRole", "ClusterRoleBinding"))
    for role in found.of_kind("Role"):
        assert role["rules"] == [
            {
                "apiGroups": ["discovery.k8s.io"],
                "resources": ["endpointslices"],
                "verbs": ["list", "watch"],
            }
        ]
    accounts = {pod.spec["serviceAccountName"] for pod in pods(found) if pod.component == "gateway"}
    for binding in found.of_kind("RoleBinding"):
        assert {subject["name"] for subject in binding["subjects"]} == accounts
        assert binding["roleRef"]["kind"] == "Role"
        assert found.has("Role", binding["roleRef"]["name"])
