"""A gateway in front of an engine that takes drafts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.integration.predictions.predicting import Asker
from tests.reference_verifier.client import SECRET, Verifier, http
from tests.servers import eventually, start_gateway


@pytest.fixture(scope="package")
def asker(racing_engine: Verifier, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    pool = {
        "tier": "cloud",
        "endpoints": [racing_engine.url],
        "mailboxes": [f"127.0.0.1:{racing_engine.mailbox}"],
        "mailbox_secret": SECRET,
    }
    with ExitStack() as stack:
        gateway = start_gateway({"pools": {"cloud": pool}}, tmp_path_factory.mktemp("predictions"))
        stack.callback(gateway.stop)

        def ready() -> bool:
            found = http.get(gateway.url + "/ready").json()
            return bool(found["ready"]) and not found["conditions"]

        eventually(ready, "the engine is ready, and its mailbox connected")
        yield Asker(gateway, racing_engine)
