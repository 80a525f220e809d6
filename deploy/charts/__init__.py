"""The Helm charts as a product: what is written into them, their archives, and the commands that
check them.

`make docs` writes GENERATED, and a test fails while a file differs from what would be written.
`python -m deploy.charts` checks the charts and packs them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from deploy.charts import readme, settings_schema
from deploy.dashboards import DASHBOARDS, grafana

ROOT = Path(__file__).resolve().parents[2]
UMBRELLA = ROOT / "charts" / "tierflow"
CHARTS: Mapping[str, Path] = {
    "tierflow": UMBRELLA,
    "gateway": UMBRELLA / "charts" / "gateway",
    "model-pool": UMBRELLA / "charts" / "model-pool",
}
"""The folder of each chart, by its name. `charts/` of the checkout has a link to each."""

GENERATED: Mapping[Path, Callable[[], str]] = {
    **{folder / "README.md": partial(readme.page, folder) for folder in CHARTS.values()},
    CHARTS["gateway"] / "values.schema.json": partial(
        settings_schema.page, CHARTS["gateway"] / "values.schema.json"
    ),
    **{
        CHARTS["gateway"] / "dashboards" / f"{dashboard.name}.json": partial(
            grafana.page, dashboard
        )
        for dashboard in DASHBOARDS
    },
}
"""The text of each file."""
