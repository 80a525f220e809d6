"""What is shown of the running containers: an answer, and that an engine's end does not end it."""

from __future__ import annotations

import time

import httpx
from openai import OpenAI

from tests.containers.client import RepeatingClient, ask
from tests.containers.hardening import CONFINED, WITHOUT_SHELLS, lapses
from tests.containers.podman import Played, Podman
from tests.servers import eventually

START_S = 600.0
"""vLLM's start on two busy cores, twice over."""
AFTERWARDS = 20
"""Answers that must come after an engine's end, all of them right."""


def wait_until_ready(played: Played, podman: Podman, url: str, key: str) -> None:
    """Raises AssertionError with the log's end of a container that stopped."""

    shown = {"authorization": f"Bearer {key}"}

    def look() -> bool:
        for container in played.containers:
            if not podman.running(container):
                raise AssertionError(f"{container} stopped:\n{podman.logs(container)[-3000:]}")
        try:
            ready = httpx.get(f"{url}/ready", timeout=5).status_code == 200
            models = httpx.get(f"{url}/v1/models", headers=shown, timeout=5).json()["data"]
        except httpx.HTTPError:
            return False
        served = {pool for model in models if model["ready"] for pool in model["pools"]}
        return ready and len(served) == 2

    eventually(look, "the gateway and both pools are ready", START_S, 1.0)


def confined(played: Played, podman: Podman) -> None:
    for container in played.containers:
        python_alone = "gateway" in container
        wrong = lapses(podman, container, WITHOUT_SHELLS if python_alone else CONFINED)
        assert not wrong, f"{container} is not confined: {wrong}"
        kept = ", no shell" if python_alone else ""
        print(f"{container}: uid 65532, no capabilities, seccomp, read-only root{kept}")


def answered(client: OpenAI) -> bool:
    """Whether each tier streams the right answer, token by token."""
    good = True
    ask(client, "tierflow-auto")  # The client's first answer waits for its own imports.
    for tier in ("edge", "cloud"):
        outcome = ask(client, f"tierflow-{tier}")
        good &= outcome.right and len(outcome.arrivals) > 10 and outcome.tier == tier
        spread = outcome.arrivals[-1] - outcome.arrivals[0] if outcome.arrivals else 0.0
        print(
            f"{tier}: {outcome.text!r} {outcome.error} in {len(outcome.arrivals)} pieces"
            f" over {1000 * spread:.0f} ms, from tier {outcome.tier}"
        )
    return good


def survived(client: OpenAI, podman: Podman, victim: str) -> bool:
    """Kills the edge's engine under requests for the edge: the cloud must answer those to come.

    A stream that was under way may end in one error that says so; it was begun before.
    """
    with RepeatingClient(client, "tierflow-edge") as repeating:
        eventually(lambda: len(repeating.outcomes) > 2, "answers before the kill", 60)
        podman.run("kill", victim)
        killed = time.monotonic()
        eventually(
            lambda: len(repeating.begun_after(killed)) >= AFTERWARDS, "answers after it", 180
        )
    before = [outcome for outcome in repeating.outcomes if outcome.begun <= killed]
    after = repeating.begun_after(killed)
    interrupted = [outcome.error for outcome in before if outcome.error]
    print(f"killed {victim}; interrupted streams: {interrupted or 'none'}")
    wrong = [outcome for outcome in after if not outcome.right]
    tiers = sorted({outcome.tier for outcome in after})
    print(f"{len(after) - len(wrong)} of {len(after)} answers after it were right, from {tiers}")
    for outcome in wrong:
        print(f"  wrong: {outcome}")
    clean = set(interrupted) <= {"engine_disconnected"} and len(interrupted) <= 1
    return clean and not wrong and "cloud" in tiers
