"""The README of a chart: what it is, how it is installed, and all of its values."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from deploy.charts.values_table import values
from deploy.reference.markdown import GENERATED, code, paragraphs, table

INSTALL = {
    "tierflow": """\
```
helm install tierflow tierflow-{version}.tgz -n tierflow --create-namespace
helm test tierflow -n tierflow --logs
```

The archives are made by `make chart`. A checkout installs as it is, by `charts/tierflow` in
place of the archive. `docs/kubernetes.md` of the repository says what a cluster needs, and
goes through an edge site, a GPU cloud and a family from the hub.

What is said of a pool stands under `pools.<name>`, and under `model-pool` for all of them:
every value of the chart model-pool. What is said of the gateway stands under `gateway`: every
value of the chart gateway. Their READMEs list them (`charts/model-pool/README.md` and
`charts/gateway/README.md` in this archive).""",
    "gateway": """\
```
helm install front gateway-{version}.tgz -n tierflow --create-namespace
```

It finds the pools of its namespace by the labels of their EndpointSlices. The chart tierflow
installs it together with pools and Redis; there these values stand under `gateway`.""",
    "model-pool": """\
```
helm install small model-pool-{version}.tgz -n tierflow --create-namespace \\
  --set tier=edge,gatewayRelease=front
```

A gateway of the namespace finds it. The chart tierflow installs pools together with their
gateway; there these values stand under `pools.<name>`, and under `model-pool` for all pools.""",
}

GITOPS = """\
## Without the cluster

`helm template` and most GitOps tools (Argo CD, kustomize) render without the cluster, and
can't look up the Secrets that are there. So that no rendering makes up others, the chart says
which Secret to name in which value. `global.throwawaySecrets: true` lets it make them up, for
a rendering that is applied once. `helm install` and `helm upgrade`, and tools that call them
such as Flux, make the Secrets once and keep them.

Replicas that a scaler of your own or `kubectl scale` sets are left alone where `replicas` is
null. Helm 4 refuses an upgrade that would set them back."""


def page(folder: Path) -> str:
    chart: dict[str, Any] = yaml.safe_load((folder / "Chart.yaml").read_text())
    name = chart["name"]
    rows = [
        (code(value.path), code(value.default) if value.default else "", _plain(value.meaning))
        for value in values(folder / "values.yaml")
    ]
    return paragraphs(
        f"# {name}",
        GENERATED,
        f"{chart['description']}. Version {chart['version']}, for Kubernetes "
        f"{chart['kubeVersion'].removesuffix('-0')} and Helm 3 and 4.",
        INSTALL[name].format(version=chart["version"]),
        GITOPS,
        "## Upgrade",
        "UPGRADE.md says what each version asks for.",
        "## Values",
        table(("value", "default", "meaning"), rows),
    )


def _plain(text: str) -> str:
    """With `<name>` as it stands, which would be a tag of HTML outside of code."""
    parts = re.split("(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else part.replace("<", "&lt;") for part in parts)
