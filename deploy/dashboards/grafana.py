"""Dashboards as Grafana reads them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from deploy.dashboards.panel import Dashboard, Panel, Query, Row, Variable

WIDTH, STAT_HEIGHT, GRAPH_HEIGHT = 24, 4, 8
DATA_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
NAMESPACE = Variable(
    name="namespace",
    title="Namespace",
    description="Where the pods run; outside of Kubernetes there is none, and All is right.",
    of="tierflow_endpoint_up",
    label="namespace",
)
_SERIES = re.compile(r"(?<![\w:])((?:tierflow_|vllm:)\w+)(\{[^}]*\})?(?!\w)")
_GROUPING = re.compile(r"\bby \([^)]*\)")


def page(dashboard: Dashboard) -> str:
    """The text of its file."""
    return json.dumps(_content(dashboard), indent=2) + "\n"


def _content(dashboard: Dashboard) -> dict[str, Any]:
    return {
        "uid": f"tierflow-{dashboard.name}",
        "title": f"Tierflow / {dashboard.title}",
        "description": dashboard.description,
        "tags": ["tierflow"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "fiscalYearStartMonth": 0,
        "liveNow": False,
        "weekStart": "",
        "time": {"from": "now-30m", "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "refresh": "10s",
        "annotations": {"list": [_BUILT_IN, _ROLLOUTS]},
        "links": [_LINK],
        "templating": {
            "list": [_SOURCE, *map(_variable, (NAMESPACE, *dashboard.variables))],
        },
        "panels": list(_panels(dashboard)),
    }


def _panels(dashboard: Dashboard) -> Iterator[dict[str, Any]]:
    number, y = 1, 0
    for row in dashboard.rows:
        yield _heading(row, number, y)
        number, y, x = number + 1, y + 1, 0
        height = 0
        for panel in row.panels:
            if x + panel.width > WIDTH:
                x, y = 0, y + height
            height = STAT_HEIGHT if panel.kind == "stat" else GRAPH_HEIGHT
            place = {"h": height, "w": panel.width, "x": x, "y": y}
            yield _panel(panel, number, place)
            number, x = number + 1, x + panel.width
        y += height


def _heading(row: Row, number: int, y: int) -> dict[str, Any]:
    place = {"h": 1, "w": WIDTH, "x": 0, "y": y}
    return {
        "id": number,
        "type": "row",
        "title": row.title,
        "collapsed": False,
        "gridPos": place,
        "panels": [],
    }


def _panel(panel: Panel, number: int, place: Mapping[str, int]) -> dict[str, Any]:
    graph = panel.kind == "timeseries"
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0}
    defaults |= {} if panel.most is None else {"max": panel.most}
    defaults |= {} if panel.decimals is None else {"decimals": panel.decimals}
    defaults |= {
        "noValue": panel.empty,
        "color": {"mode": "palette-classic" if graph else "thresholds"},
    }
    if graph:
        defaults["custom"] = {
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": 20 if panel.stacked else 8,
            "showPoints": "never",
            "spanNulls": False,
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "dashed" if panel.dashed else "off"},
        }
    steps = [{"color": color, "value": value} for color, value in panel.steps]
    defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATA_SOURCE,
        "gridPos": dict(place),
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _GRAPH_OPTIONS if graph else _STAT_OPTIONS,
        "targets": [
            _target(query, chr(ord("A") + place)) for place, query in enumerate(panel.queries)
        ],
    }


def _target(query: Query, ref: str) -> dict[str, Any]:
    return {
        "refId": ref,
        "datasource": DATA_SOURCE,
        "editorMode": "code",
        "expr": narrowed(query.expression),
        "legendFormat": query.legend,
        "range": True,
    }


def narrowed(expression: str) -> str:
    """Every series in the namespace that is chosen."""
    within = f'{NAMESPACE.name}=~"${NAMESPACE.name}"'

    def series(match: re.Match[str]) -> str:
        matchers = (match[2] or "{}")[1:-1]
        return f"{match[1]}{{{', '.join(filter(None, (within, matchers)))}}}"

    return _SERIES.sub(series, expression)


def _variable(variable: Variable) -> dict[str, Any]:
    values = f"label_values({variable.of}, {variable.label})"
    return {
        "name": variable.name,
        "label": variable.title,
        "description": variable.description,
        "type": "query",
        "datasource": DATA_SOURCE,
        "definition": values,
        "query": {"query": values, "refId": f"{variable.name}-values"},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "hide": 0,
        "options": [],
        "regex": "",
        "skipUrlSync": False,
    }


_SOURCE = {
    "name": "datasource",
    "label": "Data source",
    "description": "The Prometheus that scrapes the stack.",
    "type": "datasource",
    "query": "prometheus",
    "refresh": 1,
    "regex": "",
    "multi": False,
    "includeAll": False,
    "current": {},
    "hide": 0,
    "options": [],
    "skipUrlSync": False,
}
_BUILT_IN = {
    "builtIn": 1,
    "datasource": {"type": "grafana", "uid": "-- Grafana --"},
    "enable": True,
    "hide": True,
    "iconColor": "rgba(0, 211, 255, 1)",
    "name": "Annotations & Alerts",
    "type": "dashboard",
}
_ROLLOUTS = {
    "name": "Gateways that started",
    "datasource": DATA_SOURCE,
    "enable": True,
    "hide": False,
    "iconColor": "purple",
    "expr": f"max by (instance) ({narrowed('tierflow_start_time_seconds')}) * 1000",
    "useValueForTime": True,
    "step": "60s",
    "titleFormat": "a gateway started",
    "textFormat": "{{instance}}",
}
_LINK = {
    "title": "Tierflow dashboards",
    "type": "dashboards",
    "tags": ["tierflow"],
    "asDropdown": True,
    "includeVars": True,
    "keepTime": True,
    "targetBlank": False,
    "icon": "external link",
    "tooltip": "",
    "url": "",
}
_STAT_OPTIONS = {
    "colorMode": "value",
    "graphMode": "area",
    "justifyMode": "auto",
    "orientation": "auto",
    "textMode": "value",
    "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
}
_GRAPH_OPTIONS = {
    "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
    "tooltip": {"mode": "multi", "sort": "desc"},
}
