"""What a dashboard is made of: rows of panels, each with the queries that it draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

RATE = "[$__rate_interval]"
NO_GATEWAY = "no gateway is scraped"
NO_ENGINE = "no engine is scraped here"
NO_STREAM = "no stream in this time"
NO_DRAFT = "no draft in this time"
PLACE = 'tier=~"$tier", model=~"$model"'
GREEN = (("green", None),)
Steps = Sequence[tuple[str, float | None]]


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL `expression`, in which the data source's series are not yet narrowed to a namespace,
    and the `legend` of what it gives."""

    expression: str
    legend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One graph, or one figure (`stat`). `empty` says what it means that there is no value.

    `unit` is Grafana's. `steps` are colours with the values from which on they hold, the first
    without; `dashed` draws them as lines. `width` is of 24. `stacked`: the lines add up.
    """

    title: str
    description: str
    unit: str
    queries: Sequence[Query]
    empty: str = NO_GATEWAY
    kind: Literal["timeseries", "stat"] = "timeseries"
    width: int = 8
    steps: Steps = GREEN
    dashed: bool = False
    stacked: bool = False
    decimals: int | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A choice that narrows the panels: the values of `label` in the series `of`."""

    name: str
    title: str
    description: str
    of: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """A dashboard; `name` is that of its file."""

    name: str
    title: str
    description: str
    rows: Sequence[Row]
    variables: Sequence[Variable] = field(default=())


def placed(series: str, more: str = "") -> str:
    """A series at the tiers and of the models that are chosen, narrowed by `more` matchers."""
    return f"{series}{{{', '.join(filter(None, (PLACE, more)))}}}"


def rate(series: str, by: str = "") -> str:
    """The growth of counters a second, added up over replicas; `by`: for each of these labels."""
    return f"sum{f' by ({by})' if by else ''} (rate({series}{RATE}))".replace("sum (", "sum(")


def or_zero(expression: str, **labels: str) -> str:
    """The same, and zero where its counters do not exist yet: with these labels."""
    if not labels:
        return f"{expression} or vector(0)"
    zero = "vector(0)"
    for name, value in labels.items():
        zero = f'label_replace({zero}, "{name}", "{value}", "", "")'
    return f"{expression} or on() {zero}"


def share(part: str, whole: str) -> str:
    """One by the other, and nothing where there is none of the whole."""
    return f"{part} / ({whole} > 0)"


def quantile(share: float, histogram: str, by: str = "") -> str:
    """Of a histogram, whose name may be followed by matchers in braces; over replicas."""
    name, brace, matchers = histogram.partition("{")
    labels = f"le, {by}" if by else "le"
    return (
        f"histogram_quantile({share}, sum by ({labels}) "
        f"(rate({name}_bucket{brace}{matchers}{RATE})))"
    )


def median_and_p95(histogram: str, by: str = "") -> Sequence[Query]:
    legend = f"{{{{{by}}}}} " if by else ""
    return [
        Query(quantile(0.5, histogram, by), f"{legend}median"),
        Query(quantile(0.95, histogram, by), f"{legend}p95"),
    ]
