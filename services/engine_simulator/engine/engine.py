"""The engine: which model it serves, its scheduler, its metrics and its faults."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.engine_simulator.engine.decoding import Limits, decode_tokens
from services.engine_simulator.engine.faults import FaultPlan
from services.engine_simulator.engine.generation import Generation
from services.engine_simulator.engine.language_model import Context, generate, recite
from services.engine_simulator.engine.metrics import EngineMetrics
from services.engine_simulator.engine.scheduler import Scheduler
from services.engine_simulator.engine.token_queue import TokenQueue
from services.engine_simulator.engine.tokenizer import encode
from services.engine_simulator.errors import EngineError, unknown_model
from services.engine_simulator.settings import Settings

MAX_RESPONSES = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptRequest:
    """A prompt to answer `n` times; `script` is text to recite instead of free generation."""

    prompt: list[int]
    limits: Limits
    n: int = 1
    seed: int | None = None
    script: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A request in the engine: `generations[i]` puts the tokens of choice i into the queue."""

    generations: list[Generation]
    tokens: TokenQueue
    plan: FaultPlan


class Engine:
    """An engine that serves one model. It must be made inside a running event loop."""

    def __init__(self, settings: Settings) -> None:
        rates = settings.rates
        self.settings = settings
        self.faults = settings.faults
        self.metrics = EngineMetrics(settings.model, settings.max_model_len, rates.draft_tokens)
        self.scheduler = Scheduler(rates, self.metrics, settings.seed)
        self.responses: dict[str, dict[str, Any]] = {}
        """Those that are kept, by id: the latest `MAX_RESPONSES`."""

    def keep(self, response: dict[str, Any]) -> None:
        self.responses[response["id"]] = response
        if len(self.responses) > MAX_RESPONSES:
            del self.responses[next(iter(self.responses))]

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

    def weights(self, model: str) -> str:
        """Whose answers the model gives: its own, unless the settings name another."""
        return self.settings.weights or model

    def admit(self) -> FaultPlan:
        """The faults of this inference request. Raises EngineError (400 to 599)."""
        plan = self.faults.next_plan()
        if plan.status is not None:
            raise EngineError("A simulated refusal.", status=plan.status, kind="SimulatedError")
        if plan.refuse:
            raise EngineError(
                "The engine refuses requests.", status=503, kind="ServiceUnavailableError"
            )
        if plan.error_probability and self.faults.random.random() < plan.error_probability:
            raise EngineError("A simulated failure.", status=500, kind="InternalServerError")
        return plan

    def submit(self, model: str, requests: Sequence[PromptRequest], plan: FaultPlan) -> Job:
        """Queues every choice of every prompt; choices are numbered through."""
        hang_after = 0 if plan.hang_before_first_byte else plan.hang_after_tokens
        queue = TokenQueue(sum(request.n for request in requests))
        generations: list[Generation] = []
        weights = self.weights(model)
        for request in requests:
            for choice in range(request.n):
                context = Context(
                    model=weights, seed=request.seed, choice=choice, prompt=request.prompt
                )
                source = (
                    generate(context, request.limits.min_tokens, request.limits.ignore_end)
                    if request.script is None
                    else recite(context, encode(request.script))
                )
                tokens = decode_tokens(source, request.limits)
                number = len(generations)
                generations.append(
                    Generation(
                        choice=number,
                        prompt=request.prompt,
                        tokens=tokens,
                        queue=queue,
                        hang_after=hang_after,
                    )
                )
        self.scheduler.submit(generations)
        return Job(generations, queue, plan)
