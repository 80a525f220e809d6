"""`python -m deploy.compose.secrets`: make what the services of docker-compose.yml share.

Writes one file of variables for each part into deploy/compose/private, once: files that are there
already stay, so that running parts keep working. Nothing in that folder is ever committed.
"""

from __future__ import annotations

import hashlib
import secrets
import sys
from pathlib import Path

from deploy.local.secrets import write_private

FOLDER = Path(__file__).parent / "private"
DEVICE = "compose"
"""The device's name at the gateway."""


def variables(mailbox: str, token: str, password: str) -> dict[str, dict[str, str]]:
    """What stands in each part's file, from the three secrets."""
    digest = hashlib.sha256(token.encode()).hexdigest()
    pool = "TIERFLOW_GATEWAY_POOLS__{}__MAILBOX_SECRET"
    return {
        "engine": {"TIERFLOW_DRAFT_SECRET": mailbox},
        "gateway": {
            pool.format("EDGE"): mailbox,
            pool.format("CLOUD"): mailbox,
            f"TIERFLOW_GATEWAY_DEVICES__TOKENS__{DEVICE}": digest,
        },
        "device": {"TIERFLOW_DEVICE_TOKEN": token},
        "grafana": {"GF_SECURITY_ADMIN_PASSWORD": password},
    }


def make(folder: Path = FOLDER) -> bool:
    """Whether anything was written; all or nothing, as the files belong together."""
    made = variables(*(secrets.token_hex(32) for _ in range(3)))
    if all((folder / f"{part}.env").is_file() for part in made):
        return False
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for part, values in made.items():
        lines = [f"{name}={value}\n" for name, value in values.items()]
        write_private(folder / f"{part}.env", "".join(lines))
    return True


if __name__ == "__main__":
    done = "made" if make() else "kept"
    print(f"{done} the secrets in {FOLDER}", file=sys.stderr)
