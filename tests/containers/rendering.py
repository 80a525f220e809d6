"""The umbrella chart's manifests, rendered by Helm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import helm_python as helm
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/tierflow"
RELEASE = "tierflow"

Manifest = dict[str, Any]


def render(values: Path) -> list[Manifest]:
    """All manifests of an install with these values, in the order of their files' names."""
    with helm.Chart.load(str(CHART)) as chart:
        rendered: dict[str, str] = chart.render(
            yaml.safe_load(values.read_text()), name=RELEASE, namespace=RELEASE
        )
    texts = [text for file, text in sorted(rendered.items()) if file.endswith(".yaml")]
    return [manifest for text in texts for manifest in yaml.safe_load_all(text) if manifest]
