"""All that the links gave, and what is said of it beside the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from loadtest.measure.machine import versions
from loadtest.measure.spread import Spread
from loadtest.speculation.cells import Cell, worst_p99
from loadtest.speculation.engines import COLOCATED_TOKENS
from loadtest.speculation.parts import Parts
from loadtest.speculation.plan import Way
from loadtest.speculation.questions import PROMPT_TOKENS
from loadtest.speculation.stops import Prompt, Sample
from loadtest.speculation.tiers import Tiers


@dataclass
class Found:
    """What the links gave: cells, and server-only TPOT by RTT at the main rate."""

    cells: list[Cell] = field(default_factory=list)
    server: dict[int, Spread] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    links: list[list[Sample]] = field(default_factory=list)


def notes(parts: Parts, prompts: Sequence[Prompt], found: Found) -> dict[str, str]:
    lengths = sorted(len(prompt.ids) for prompt in prompts)
    worst = worst_p99(found.cells)
    low, high = worst.p99.low, worst.p99.high
    chance = worst_p99(found.cells, again=True)
    return {
        "gateway": versions(("uvicorn", "uvloop", "aiohttp", "onnxruntime")),
        "prompts": f"{len(prompts)} held-out questions with the longest answers that end by "
        f"themselves, {lengths[0]} to {lengths[-1]} tokens (at least {PROMPT_TOKENS})",
        "co-located": f"vLLM's draft_model with rill-device, {COLOCATED_TOKENS} draft tokens"
        if parts.engines.colocated
        else "vLLM's draft_model did not start: see logs/vllm-rill-cloud-colocated.log",
        "worst p99": f"{worst.p99.median:.3f} [{low:.3f}–{high:.3f}] at {worst.name}",
        "worst p99 of server-only asked again": f"{chance.p99.median:.3f} "
        f"[{chance.p99.low:.3f}–{chance.p99.high:.3f}] at {chance.name}",
    }


def compared(samples: Sequence[Sample], rows: Tiers, questions: int) -> tuple[int, int]:
    """Prompts whose answers were all the verifier's own ids, and answers that were not."""
    timed: dict[int, bool] = {}
    drafted = [one for one in samples if isinstance(one.way, Way)]
    for one in drafted:
        timed[one.prompt] = timed.get(one.prompt, True) and one.exact
    wrong = sum(row.different or 0 for row in rows.values())
    # The timed prompts may be among the tiers' questions: whichever are more are counted.
    exact = max(sum(timed.values()), questions - wrong)
    return exact, sum(not one.exact for one in drafted) + wrong
