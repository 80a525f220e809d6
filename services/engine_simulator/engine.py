"""The simulated engine: what it serves, its queue, its metrics and its faults, in one place."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from services.engine_simulator.decoding import decode_tokens
from services.engine_simulator.errors import EngineError, unknown_model
from services.engine_simulator.faults import FaultPlan
from services.engine_simulator.language_model import Context, generate, recite
from services.engine_simulator.mailbox import Mailbox
from services.engine_simulator.metrics import Metrics
from services.engine_simulator.sampling import Limits
from services.engine_simulator.scheduler import Scheduler
from services.engine_simulator.sequence import Generation
from services.engine_simulator.settings import Settings
from services.engine_simulator.tokenizer import encode


@dataclass(frozen=True, slots=True)
class Ask:
    """One prompt to answer `n` times; `script` is text to recite instead of free generation."""

    prompt: list[int]
    limits: Limits
    n: int = 1
    seed: int | None = None
    script: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A request in the engine: `generations[i]` delivers choice i to the mailbox."""

    generations: list[Generation]
    mailbox: Mailbox
    plan: FaultPlan


class Engine:
    """Must be made inside a running event loop."""

    def __init__(self, settings: Settings) -> None:
        rates = settings.rates
        self.settings = settings
        self.faults = settings.faults
        self.metrics = Metrics(settings.model, settings.max_model_len, rates.draft_tokens)
        self.scheduler = Scheduler(rates, self.metrics, settings.seed)
        self.started_at = int(time.time())

    def models(self) -> list[str]:
        return self.faults.current().models or [self.settings.model]

    def resolve(self, name: str | None) -> str:
        """The model's name, the first when none is given. Raises EngineError (404)."""
        served = self.models()
        if not name:
            return served[0]
        if name not in served:
            raise unknown_model(name, served)
        return name

    def admit(self) -> FaultPlan:
        """Faults that befall this inference request. Raises EngineError (500, 503)."""
        plan = self.faults.take()
        if plan.refuse:
            raise EngineError(
                "The engine refuses requests.", status=503, kind="ServiceUnavailableError"
            )
        if plan.error_probability and self.faults.random.random() < plan.error_probability:
            raise EngineError("A simulated failure.", status=500, kind="InternalServerError")
        return plan

    def submit(self, model: str, asks: Sequence[Ask], plan: FaultPlan) -> Job:
        """Queues every choice of every prompt; choices are numbered through."""
        hang_after = 0 if plan.hang_before_first_byte else plan.hang_after_tokens
        mailbox = Mailbox(sum(ask.n for ask in asks))
        generations: list[Generation] = []
        for ask in asks:
            for choice in range(ask.n):
                context = Context(model, ask.seed, choice, ask.prompt)
                source = (
                    generate(context, ask.limits.min_tokens, ask.limits.ignore_end)
                    if ask.script is None
                    else recite(context, encode(ask.script))
                )
                tokens = decode_tokens(source, ask.limits)
                number = len(generations)
                generations.append(Generation(number, ask.prompt, tokens, mailbox, hang_after))
        self.scheduler.submit(generations)
        return Job(generations, mailbox, plan)
