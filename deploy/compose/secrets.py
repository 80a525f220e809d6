"""`python -m deploy.compose.secrets`: make the secrets that docker-compose.yml's services share.

Writes one file of variables for each part into deploy/compose/private, once: files that are there
already stay, so that running parts keep working. Nothing in that folder is ever committed.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from pathlib import Path

from deploy.local.instance_secrets import digest, write_private

FOLDER = Path(__file__).parent / "private"
DEVICES = {
    "device": "compose",
    "device-mathematics": "mathematics",
    "device-code": "code",
    "device-reading": "reading",
}
"""The devices' services, and their names at the gateway."""


def variables(secret: Callable[[], str]) -> dict[str, dict[str, str]]:
    """The variables in each part's file; `secret` makes a new secret at each call."""
    mailbox, admin, redis, key = secret(), secret(), secret(), f"tf-{secret()}"
    tokens = {service: secret() for service in DEVICES}
    pool = "TIERFLOW_GATEWAY_POOLS__{}__MAILBOX_SECRET"
    device = "TIERFLOW_GATEWAY_DEVICES__TOKENS__{}"
    return {
        "engine": {"TIERFLOW_DRAFT_SECRET": mailbox},
        "gateway": {
            pool.format("EDGE"): mailbox,
            pool.format("CLOUD"): mailbox,
            "TIERFLOW_GATEWAY_ADMIN__TOKEN": digest(admin),
            "TIERFLOW_GATEWAY_STATE__REDIS__PASSWORD": redis,
            "TIERFLOW_GATEWAY_KEYS__STATIC__FIRST__KEY": digest(key),
            **{device.format(DEVICES[name]): digest(token) for name, token in tokens.items()},
        },
        **{name: {"TIERFLOW_DEVICE_TOKEN": token} for name, token in tokens.items()},
        # The name by which the server's own command line finds it.
        "redis": {"REDISCLI_AUTH": redis},
        "grafana": {"GF_SECURITY_ADMIN_PASSWORD": secret()},
        "operator": {"TIERFLOW_ADMIN_TOKEN": admin},
        # The first caller's key, by the name at which OpenAI's clients look for it.
        "caller": {"OPENAI_API_KEY": key},
    }


def make(folder: Path = FOLDER) -> bool:
    """Make the files; gives whether they were made. All or none, as they belong together."""
    made = variables(lambda: secrets.token_hex(32))
    if all((folder / f"{part}.env").is_file() for part in made):
        return False
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for part, values in made.items():
        lines = [f"{name}={value}\n" for name, value in values.items()]
        write_private(folder / f"{part}.env", "".join(lines))
    return True


if __name__ == "__main__":
    action = "made" if make() else "kept"
    print(f"{action} the secrets in {FOLDER}", file=sys.stderr)
