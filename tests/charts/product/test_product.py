"""The charts as they are handed out: what they say of themselves, and their archives."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.charts import CHARTS
from deploy.charts.archives import check, pack, push, render
from tests.charts.helm import NAMESPACE
from tests.charts.helm import render as rendered
from tests.charts.product.commands import Helm
from tests.charts.product.registry import registry

pytestmark = pytest.mark.helm


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return pack(tmp_path_factory.mktemp("archives"))


def described(chart: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CHARTS[chart] / "Chart.yaml").read_text())
    return found


@pytest.mark.parametrize("chart", CHARTS)
def test_a_chart_says_what_it_is_and_what_its_version_asks_for(chart: str) -> None:
    about = described(chart)
    assert about["description"] and about["keywords"] and about["maintainers"] and about["icon"]
    assert about["annotations"]["artifacthub.io/license"] == "Apache-2.0"
    notes = (CHARTS[chart] / "UPGRADE.md").read_text()
    versions = re.findall(r"^## (\S+)$", notes, re.M)
    assert versions[0] == about["version"]
    assert len(versions) == len(set(versions)) > 1


def test_the_charts_have_one_version_and_the_umbrella_takes_that_of_each() -> None:
    versions = {chart: described(chart)["version"] for chart in CHARTS}
    assert len(set(versions.values())) == 1
    for dependency in described("tierflow")["dependencies"]:
        assert dependency["version"] == versions[dependency["name"]]


def test_the_charts_are_fit_to_be_handed_out() -> None:
    check()


def test_an_archive_holds_all_that_its_chart_is_made_of(archives: dict[str, Path]) -> None:
    for chart, archive in archives.items():
        assert archive.name == f"{chart}-{described(chart)['version']}.tgz"
        with tarfile.open(archive) as packed:
            names = set(packed.getnames())
        for file in ("Chart.yaml", "values.yaml", "values.schema.json", "README.md", "UPGRADE.md"):
            assert f"{chart}/{file}" in names
    for inner in ("gateway", "model-pool"):
        with tarfile.open(archives["tierflow"]) as packed:
            assert f"tierflow/charts/{inner}/README.md" in packed.getnames()


def test_both_helms_install_from_the_archive(helm: Helm, archives: dict[str, Path]) -> None:
    text = render(helm.program, archives["tierflow"], {})
    kinds = {each["kind"] for each in yaml.safe_load_all(text) if each}
    assert {"Deployment", "Service", "NetworkPolicy", "Secret"} <= kinds


def test_both_helms_install_from_a_registry(helm: Helm, archives: dict[str, Path]) -> None:
    with registry() as (host, contents):
        push(helm.program, archives, f"oci://{host}/charts", plain_http=True)
        assert f"/v2/charts/tierflow/manifests/{described('tierflow')['version']}" in contents
        options = ["--plain-http", "--version", described("gateway")["version"]]
        options += ["--set", "global.throwawaySecrets=true"]
        found = helm.run("template", *options, chart=f"oci://{host}/charts/gateway")
    assert found.code == 0, found.said
    assert "Deployment" in {each["kind"] for each in found.objects}


def test_a_changed_bound_of_the_replicas_restarts_no_gateway() -> None:
    def pod(most: int) -> Any:
        found = rendered({"gateway": {"autoscaling": {"maxReplicas": most}}})
        return found.one("Deployment", "tierflow-gateway")["spec"]["template"]

    assert pod(4) == pod(6)
    assert pod(4) != pod(1)


def test_a_role_goes_to_the_account_that_is_named() -> None:
    values = {"gateway": {"serviceAccount": {"create": False, "name": "mine"}}}
    (binding,) = rendered(values).of_kind("RoleBinding")
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "mine", "namespace": NAMESPACE}
    ]


def test_a_role_has_the_verbs_that_discovery_uses() -> None:
    (role,) = rendered({}).of_kind("Role")
    assert role["rules"][0]["verbs"] == ["list", "watch"]


def test_notes_name_values_that_there_are() -> None:
    notes = rendered({"tier": "edge"}, chart="model-pool").notes
    assert "(its value drafts.existingSecret)" in notes
    gateway = yaml.safe_load((CHARTS["gateway"] / "values.yaml").read_text())
    assert "existingSecret" in gateway["drafts"]


def test_what_an_uninstall_leaves_is_said() -> None:
    kept = [
        each["metadata"]["name"]
        for each in rendered({}).objects
        if each["metadata"].get("annotations", {}).get("helm.sh/resource-policy") == "keep"
    ]
    assert kept == ["tierflow-redis"]
    assert "that of Redis" in " ".join(rendered({}).notes.split())
    page = (CHARTS["tierflow"].parents[1] / "docs" / "kubernetes.md").read_text()
    uninstall = page.partition("## Uninstall")[2].partition("\n## ")[0]
    assert "the claim of Redis, `<release>-redis`" in uninstall
