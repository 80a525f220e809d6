"""`python -m tests.reference_verifier`, with the engine environment's Python."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import torch
import uvicorn

from tests.reference_verifier.engine import Engine
from tests.reference_verifier.model import Model
from tests.reference_verifier.server import build


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.reference_verifier")
    parser.add_argument("--model", required=True, type=Path, help="a folder")
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--mailbox-port", required=True, type=int)
    given = parser.parse_args()
    torch.set_num_threads(1)
    engine = Engine(Model(given.model))
    engine.open_mailbox(given.mailbox_port, os.environ["TIERFLOW_DRAFT_SECRET"])
    app = build(engine, str(given.model), given.model.name)
    uvicorn.run(app, host="127.0.0.1", port=given.port, log_level="warning")


if __name__ == "__main__":
    main()
