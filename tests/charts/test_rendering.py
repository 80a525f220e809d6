"""The charts render, and Helm has nothing to say against them."""

import re

import pytest
import yaml

from tests.charts.cases import DEPLOYMENTS, RENDERINGS, UMBRELLA, every_rendering, rendered
from tests.charts.helm import CHARTS, NAMESPACE, RELEASE, lint, render

pytestmark = pytest.mark.helm
LONGEST_RELEASE = "r" * 53


@every_rendering
def test_every_object_is_made_once_and_says_whose_it_is(name: str) -> None:
    found = rendered(name).objects
    names = [
        (each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"])
        for each in found
    ]
    assert len(names) == len(set(names)) > 0
    for each in found:
        labels = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == RELEASE
        assert labels["app.kubernetes.io/part-of"] == "tierflow"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert each["metadata"]["namespace"]


@every_rendering
def test_strict_lint_has_nothing_to_say(name: str) -> None:
    chart, values = RENDERINGS[name]
    assert lint(values, chart=chart) == []


def test_values_are_shipped_for_kind_edge_cloud_and_a_family_from_the_hub() -> None:
    assert {"kind", "edge", "cloud", "huggingface"} <= DEPLOYMENTS.keys()


def test_the_defaults_need_no_gpu_no_custom_kind_and_no_volume_but_the_enrolments() -> None:
    found = rendered("defaults").objects
    groups = {each["apiVersion"].rpartition("/")[0] for each in found}
    assert groups <= {"", "apps", "autoscaling", "policy", "rbac.authorization.k8s.io"} | {
        "networking.k8s.io"
    }
    assert "gpu" not in yaml.safe_dump_all(found)
    claims = rendered("defaults").of_kind("PersistentVolumeClaim")
    assert [claim["metadata"]["name"] for claim in claims] == [f"{RELEASE}-redis"]


def test_the_defaults_are_two_pools_a_gateway_and_redis() -> None:
    deployments = {each["metadata"]["name"] for each in rendered("defaults").of_kind("Deployment")}
    assert deployments == {f"{RELEASE}-{part}" for part in ("edge", "cloud", "gateway", "redis")}


def test_every_dependency_is_in_the_checkout() -> None:
    for chart in ("tierflow", "gateway", "model-pool"):
        described = yaml.safe_load((CHARTS / chart / "Chart.yaml").read_text())
        for dependency in described.get("dependencies", ()):
            assert (CHARTS / chart / "charts" / dependency["name"] / "Chart.yaml").is_file()


def test_the_charts_have_one_version_and_name_one_range_of_kubernetes() -> None:
    described = [
        yaml.safe_load((CHARTS / chart / "Chart.yaml").read_text())
        for chart in ("tierflow", "gateway", "model-pool")
    ]
    assert {each["kubeVersion"] for each in described} == {">=1.29.0-0"}
    assert len({each["appVersion"] for each in described}) == 1


@pytest.mark.parametrize("name", UMBRELLA)
def test_the_longest_release_name_makes_names_that_fit_and_differ(name: str) -> None:
    found = render(UMBRELLA[name], release=LONGEST_RELEASE)
    names = [(each["kind"], each["metadata"]["name"]) for each in found.objects]
    assert len(names) == len(set(names))
    for kind, own in names:
        assert len(own) <= (63 if kind in ("Service", "LeaderWorkerSet") else 253), own


def test_notes_name_the_release_and_its_namespace_in_commands_that_can_be_typed() -> None:
    notes = render(release="mine", namespace="elsewhere").notes
    commands = re.findall(r"^\s+((?:kubectl|helm) .*)$", notes, re.MULTILINE)
    assert len(commands) >= 3
    for command in commands:
        assert "-n elsewhere" in command
    assert any(command.startswith("helm test mine ") for command in commands)
    forward, _operations = [command for command in commands if "port-forward" in command]
    service = forward.split("svc/")[1].split()[0]
    assert render(release="mine", namespace="elsewhere").has("Service", service)
    assert "tierflow" not in " ".join(commands).replace("tierflow-auto", "")


@pytest.mark.parametrize("chart", ["gateway", "model-pool"])
def test_notes_of_each_chart_name_the_release_and_its_namespace(chart: str) -> None:
    notes = render({"tier": "edge"} if chart == "model-pool" else {}, chart=chart).notes
    assert f"-n {NAMESPACE}" in notes
    assert f"helm test {RELEASE}" in notes or f"svc/{RELEASE}-gateway" in notes


def test_notes_list_the_pools_here_and_elsewhere() -> None:
    notes = rendered("elsewhere").notes
    assert "edge" in notes
    assert "far-away" in notes
    assert "https://engines.example.org" in notes


def test_helm_test_asks_a_question_through_the_gateway() -> None:
    (test,) = [
        each
        for each in rendered("defaults").of_kind("Pod", "Job")
        if "test" in each["metadata"].get("annotations", {}).get("helm.sh/hook", "")
    ]
    container = test["spec"]["containers"][0]
    asked = " ".join([*container["command"], *container["args"]])
    assert f"http://{RELEASE}-gateway:8080" in asked
    assert "/v1/chat/completions" in asked
