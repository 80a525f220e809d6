"""Amounts as Kubernetes writes them: 500m, 2Gi, 1e3. Pure."""

from __future__ import annotations

import re
from decimal import Decimal

from kubernetes.utils import parse_quantity

WRITTEN = re.compile(r"\+?(\d+\.?\d*|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d{1,2})?")


def quantity(written: object) -> Decimal:
    """Raises ValueError for what an API server does not accept as a request or a limit."""
    text = str(written)
    if not WRITTEN.fullmatch(text):
        raise ValueError(f"{text!r} is no quantity")
    return Decimal(parse_quantity(text))


GIB = Decimal(2**30)


def readable(resource: str, amount: Decimal) -> str:
    """As in `2.5`, or `4.0 GiB` where the resource is measured in bytes."""
    if resource.rpartition(".")[2] in ("memory", "storage", "ephemeral-storage") or (
        resource.startswith("hugepages-")
    ):
        return f"{amount / GIB:.1f} GiB"
    return f"{amount.normalize():f}"
