"""The arguments by which a replica takes drafts, and what they mean to vLLM."""

from __future__ import annotations

import json

from services.vllm_server.failure import ArgumentFailure

RACE = "services.vllm_server.race"
SECRET = "TIERFLOW_DRAFT_SECRET"
MIN_SECRET = 16
MAX_PER_STEP = 64
ANY_BATCH = 1_000_000


def mailbox(address: str | None, secret: str) -> str | None:
    """The address without the brackets of IPv6. Raises ArgumentFailure."""
    if address is None:
        return None
    host, _, port = address.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise ArgumentFailure(f"--draft-mailbox {address}: must be HOST:PORT, port 1 to 65535")
    if len(secret) < MIN_SECRET:
        raise ArgumentFailure(
            f"--draft-mailbox needs a secret: set {SECRET} to {MIN_SECRET} characters or more, "
            "the same as mailbox_secret of the gateway's pool"
        )
    return f"{host.removeprefix('[').removesuffix(']')}:{port}"


def tokens_per_step(number: int) -> int:
    """Raises ArgumentFailure."""
    if not 1 <= number <= MAX_PER_STEP:
        problem = f"must be 1 to {MAX_PER_STEP}"
        raise ArgumentFailure(f"--draft-tokens-per-step {number}: {problem}")
    return number


def switches(per_step: int) -> list[str]:
    """The switches by which vLLM verifies drafts that come from outside."""
    speculation = {
        "method": "custom_class",
        "model": f"{RACE}.proposer.NoProposer",
        "num_speculative_tokens": per_step,
        # The same for every batch size. Without this entry vLLM would pad each prompt that its
        # cache holds with as many rows, for drafts that never come.
        "num_speculative_tokens_per_batch_size": [[1, ANY_BATCH, per_step]],
    }
    return [
        *("--scheduler-cls", f"{RACE}.scheduler.RaceScheduler"),
        *("--worker-cls", f"{RACE}.worker.RaceWorker"),
        *("--speculative-config", json.dumps(speculation)),
    ]
