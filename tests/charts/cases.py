"""Values to render: what we ship for environments, and every optional part at least once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.charts.helm import Rendering, render, values_of
from tests.servers import CHECKOUT

DEPLOYMENTS: dict[str, Path] = {
    file.parent.name: file for file in sorted((CHECKOUT / "deploy").glob("*/values.yaml"))
}
GPU_POOL: dict[str, Any] = {"gpu": {"count": 2}, "model": {"hub": "owner/large-8b"}}
MONITORED = {
    "podMonitor": {"enabled": True},
    "networkPolicy": {"metricsFrom": [{"namespaceSelector": {}}]},
}

UMBRELLA: dict[str, dict[str, Any]] = {
    "defaults": {},
    "keda": {
        "gateway": {"keda": {"enabled": True}, "pools": {"edge": {"tier": "edge", "hold_s": 60}}},
        "pools": {"edge": {"keda": {"enabled": True, "minReplicas": 0}}},
    },
    "exposed": {
        "gateway": {
            "ingress": {"enabled": True, "hosts": [{"host": "llm.example.org"}]},
            "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]},
            "networkPolicy": {"from": [{"podSelector": {"matchLabels": {"app": "proxy"}}}]},
            "devices": {"names": ["kitchen", "garage"]},
            "autoscaling": {"enabled": False},
            "replicas": 2,
        }
    },
    "watched": {
        "gateway": {
            "serviceMonitor": {"enabled": True},
            "prometheusRules": {"enabled": True},
            "dashboards": {"enabled": True},
        },
        "model-pool": MONITORED,
    },
    "several nodes": {
        "pools": {
            "cloud": GPU_POOL
            | {
                "multiNode": {"enabled": True, "size": 2},
                "drafts": {"enabled": False},
                "download": {"claim": {"accessModes": ["ReadWriteMany"]}},
                "runtimeClassName": "nvidia",
                "sharedMemory": "16Gi",
            }
        }
    },
    "adapters": {
        "pools": {
            "edge": {
                "model": {"hub": "owner/base"},
                "download": {"tokenSecret": {"name": "hub-token"}, "storage": "ephemeral"},
                "lora": {"modules": [{"name": "sql", "hub": "owner/sql"}]},
            }
        }
    },
    "models in volumes and images": {
        "pools": {
            "edge": {"model": {"name": "a", "claim": {"name": "weights", "path": "a"}}},
            "cloud": {"model": {"name": "b", "image": {"reference": "example.org/b:1"}}},
        }
    },
    "elsewhere": {
        "pools": {"cloud": {"enabled": False}},
        "gateway": {
            "pools": {
                "far-away": {
                    "tier": "cloud",
                    "endpoints": ["https://engines.example.org"],
                    "apiKeySecret": {"name": "cloud-key"},
                }
            }
        },
    },
    "own services": {
        "redis": {"external": {"url": "redis://cache.example.org:6379/0"}},
        "gateway": {"state": {"ports": [6379], "whenLost": "closed"}},
        "global": {
            "imageRegistry": "example.org/mirror",
            "imagePullSecrets": ["pull"],
            "draftsSecret": "mine",
        },
    },
}


def renderings() -> dict[str, tuple[str, dict[str, Any]]]:
    """Chart and values by name."""
    found = {name: ("tierflow", values) for name, values in UMBRELLA.items()}
    found |= {f"deploy/{name}": ("tierflow", values_of(file)) for name, file in DEPLOYMENTS.items()}
    found["gateway alone"] = ("gateway", {})
    found["pool alone"] = ("model-pool", {"tier": "edge"})
    return found


RENDERINGS = renderings()


def rendered(name: str) -> Rendering:
    chart, values = RENDERINGS[name]
    return render(values, chart=chart)


every_rendering = pytest.mark.parametrize("name", RENDERINGS)
