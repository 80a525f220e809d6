"""What stands for the reader's `outcomes.jsonl`: a gateway's log of a cascade's outcomes."""

from __future__ import annotations

import json
from collections.abc import Iterator

FEATURES = ("mean", "minimum", "worst_window", "last_window", "low_share")


def outcomes() -> Iterator[str]:
    """Its lines, enough to fit to."""
    for n in range(80):
        features = {name: -0.01 * ((n * 7 + k) % 40) for k, name in enumerate(FEATURES)}
        row = {"features": features, "agreed": n % 3 > 0, "lower_tokens": 9, "upper_tokens": 9}
        yield json.dumps({**row, "lower": "rill-edge", "upper": "rill-cloud"}) + "\n"
