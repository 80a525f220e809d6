"""Every shipped dashboard: complete, right with several gateways, and true to the code."""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.reference.metrics import agent_registry, gateway_sections
from gateway.api.description.responses import status_of_code
from gateway.api.error_codes import HTTP_ERRORS
from services.engine_simulator.engine.metrics import EngineMetrics
from tests.dashboards import Query, files, filled, load, panels, queries, variables
from tests.servers import CHECKOUT

DASHBOARDS = pytest.mark.parametrize("file", files(), ids=lambda file: file.stem)
QUERIES = pytest.mark.parametrize("query", queries(), ids=lambda query: query.name)
ENDINGS = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
}
AGGREGATIONS = {"sum", "min", "max", "count"}
OWN_REFUSALS = {"overloaded", "engine_busy", "stream_lost"}
"""Codes with a status below 500 that are no fault of the caller's."""


def series() -> dict[str, str]:
    """Every series that the code can export, and its kind."""
    engine = EngineMetrics("a-model", 1024, 1)
    ours = [section.build() for section in gateway_sections()]
    return {
        family.name + ending: family.type
        for registry in (*ours, engine.registry, agent_registry())
        for family in registry.collect()
        for ending in ENDINGS[family.type]
    }


KINDS = series()
HISTOGRAMS = {
    name.removesuffix("_bucket")
    for name in KINDS
    if name.startswith("tierflow_") and name.endswith("_bucket")
}


def test_there_is_an_overview() -> None:
    assert "overview" in [file.stem for file in files()]


@DASHBOARDS
def test_a_dashboard_can_be_found_and_needs_no_particular_data_source(file: Path) -> None:
    dashboard = load(file)
    assert dashboard["uid"] == f"tierflow-{file.stem}"
    assert "tierflow" in dashboard["tags"]
    assert dashboard.get("id") is None, "Grafana gives ids; one in the file collides"
    listed = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    assert listed["datasource"]["type"] == "datasource"
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    for variable in listed.values():
        assert variable["type"] == "datasource" or variable["datasource"] == chosen
    for panel in panels(dashboard):
        assert panel["datasource"] == chosen, panel["title"]
        assert all(target["datasource"] == chosen for target in panel["targets"]), panel["title"]


@DASHBOARDS
def test_a_selecting_variable_offers_all_and_all_misses_no_series(file: Path) -> None:
    for variable in load(file)["templating"]["list"]:
        if variable["type"] == "query":
            assert variable["includeAll"] and variable["multi"], variable["name"]
            assert variable["allValue"] == ".*", variable["name"]


@DASHBOARDS
def test_every_panel_says_what_it_shows(file: Path) -> None:
    shown = panels(load(file))
    assert len({panel["id"] for panel in shown}) == len(shown)
    assert len({panel["title"] for panel in shown}) == len(shown)
    for panel in shown:
        defaults = panel["fieldConfig"]["defaults"]
        assert len(panel["description"]) > 20, panel["title"]
        assert defaults["unit"], panel["title"]
        assert defaults["thresholds"]["steps"], panel["title"]
        assert defaults["noValue"].strip(), f"{panel['title']}: say what an empty panel means"
        assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]


@DASHBOARDS
def test_panels_lie_side_by_side(file: Path) -> None:
    places = [panel["gridPos"] for panel in load(file)["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        assert not _overlap(one, other), (one, other)


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    across = one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
    down = one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]
    return across and down


@QUERIES
def test_a_query_names_only_series_that_exist(query: Query) -> None:
    selectors = query.selectors
    assert selectors
    assert not {selector.metric for selector in selectors} - KINDS.keys()


@QUERIES
def test_a_query_uses_only_variables_that_there_are(query: Query) -> None:
    (dashboard,) = [load(file) for file in files() if file.stem == query.dashboard]
    known = {variable["name"] for variable in dashboard["templating"]["list"]}
    assert variables(query.expression) <= known | {"__rate_interval", "__range"}


@QUERIES
def test_a_query_is_right_with_any_number_of_gateways(query: Query) -> None:
    for selector in query.selectors:
        around = selector.functions
        assert AGGREGATIONS & set(around), f"{selector.text} is shown for each replica"
        grows = KINDS[selector.metric] != "gauge"
        assert grows == bool({"rate", "increase"} & set(around)), selector.text
        if grows:
            assert around[-1] in {"rate", "increase"}, f"a sum of counters hides restarts: {around}"
        if selector.metric.endswith("_bucket"):
            assert "histogram_quantile" in around
            assert "le" in query.groupings


def test_what_every_gateway_sees_of_an_endpoint_is_not_added_up() -> None:
    seen = [
        selector
        for query in queries()
        for selector in query.selectors
        if re.fullmatch(r"tierflow_endpoint_(up|queue|saturated)", selector.metric)
    ]
    assert seen
    for selector in seen:
        assert selector.functions[-1] in {"min", "max", "count"}, selector


def test_what_counts_as_failed_is_ours_and_not_the_callers() -> None:
    (failed,) = [query for query in queries() if query.panel == "Failed"]
    (pattern,) = re.findall(r'outcome!~"([^"]+)"', failed.expression)
    callers = {code for code in HTTP_ERRORS if status_of_code(code) < 500} - OWN_REFUSALS
    ends = {"ok", "cancelled", "client_error", "client_stalled"}
    assert not [code for code in sorted(ends | callers) if not re.fullmatch(pattern, code)]
    ours = HTTP_ERRORS.keys() - callers
    assert not [code for code in sorted(ours | {"error"}) if re.fullmatch(pattern, code)]


def test_promtool_reads_every_query(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; Debian's package prometheus has it")
    rules: list[dict[str, Any]] = [
        {"record": f"query:number_{number}", "expr": filled(query.expression)}
        for number, query in enumerate(queries())
    ]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    checked = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(rules)} rules found" in checked.stdout + checked.stderr


def test_the_documentation_names_every_engines_metric_that_a_dashboard_shows() -> None:
    page = (CHECKOUT / "docs/observability.md").read_text()
    shown = {each.metric for query in queries() for each in query.selectors}
    engines = {name for name in shown if name.startswith("vllm:")}
    assert engines
    assert not [name for name in sorted(engines) if f"`{name}`" not in page]
