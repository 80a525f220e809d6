"""Metrics and labels of the dashboards' queries, on real pages; needs no Prometheus. And pages
that promtool has nothing to say about."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import defaultdict

import pytest
import yaml

from tests.dashboards import Query, queries
from tests.integration.dashboards.prometheus import CONFIG
from tests.integration.dashboards.stack import Stack

pytestmark = pytest.mark.integration
FROM_SCRAPING = {"exported_endpoint", "namespace"}
"""Where an operator gives targets an `endpoint`, Prometheus renames ours to the first; targets in
Kubernetes have the second."""


def labels_on(pages: list[str]) -> dict[str, set[str]]:
    """The labels of each series."""
    labels: dict[str, set[str]] = defaultdict(set)
    for page in pages:
        for name, given in re.findall(r"^([a-z][\w:]*)(?:\{(.*)\})? \S+$", page, re.M):
            labels[name] |= set(re.findall(r'(\w+)="', given))
    return labels


@pytest.fixture(scope="module")
def labels(running: Stack) -> dict[str, set[str]]:
    """Those of the pages, and those that the scrape configuration gives to engines."""
    found = labels_on([running.page(server) for server in running.servers])
    jobs = {job["job_name"]: job for job in yaml.safe_load(CONFIG.read_text())["scrape_configs"]}
    given = {label for group in jobs["engines"]["static_configs"] for label in group["labels"]}
    for name in found:
        if name.startswith("vllm:"):
            found[name] |= given
    return found


@pytest.mark.parametrize("query", queries(), ids=lambda query: query.name)
def test_every_metric_is_on_a_page_with_the_labels_that_are_used(
    query: Query, labels: dict[str, set[str]]
) -> None:
    for selector in query.selectors:
        assert selector.metric in labels, selector.text
        assert selector.labels - FROM_SCRAPING <= labels[selector.metric], selector.text
        assert query.groupings - FROM_SCRAPING <= labels[selector.metric], query.expression
    assert query.legend_labels <= query.groupings


@pytest.mark.skipif(
    shutil.which("promtool") is None,
    reason="promtool is not installed; Debian's package prometheus has it",
)
def test_promtool_has_nothing_to_say_about_the_pages_of_gateways_and_agents(running: Stack) -> None:
    for server in (*running.gateways, running.agent):
        page = running.page(server)
        checked = subprocess.run(
            ["promtool", "check", "metrics"], input=page, capture_output=True, text=True
        )
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_no_page_has_a_line_for_when_a_series_began(running: Stack) -> None:
    assert not [server.name for server in running.servers if "_created" in running.page(server)]
