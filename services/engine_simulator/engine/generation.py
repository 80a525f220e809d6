"""One choice of a request, from its arrival to its last token, and its measurements."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from services.engine_simulator.engine.decoding import Token
from services.engine_simulator.engine.metrics import EngineMetrics
from services.engine_simulator.engine.token_queue import TokenQueue


@dataclass(slots=True, eq=False, kw_only=True)
class Generation:
    """An answer that is being generated. Times are monotonic seconds.

    After `hang_after` tokens it keeps its slot and produces no more.
    """

    choice: int
    prompt: Sequence[int]
    tokens: Iterator[Token]
    queue: TokenQueue
    hang_after: int | None = None
    prefill_left: int = 0
    produced: int = 0
    arrived: float = 0.0
    scheduled: float = 0.0
    first_token: float = 0.0
    last_token: float = 0.0
    done: bool = field(default=False)

    @property
    def hung(self) -> bool:
        return self.hang_after is not None and self.produced >= self.hang_after

    @property
    def kv_tokens(self) -> int:
        return len(self.prompt) + self.produced

    def emit(self, now: float, metrics: EngineMetrics) -> bool:
        """Delivers the next token; True when it was the last."""
        token = next(self.tokens)
        self.produced += 1
        if self.produced == 1:
            self.first_token = now
            metrics.ttft.observe(now - self.arrived)
            metrics.prompt_tokens.inc(len(self.prompt))
        else:
            metrics.itl.observe(now - self.last_token)
        self.last_token = now
        metrics.generation_tokens.inc()
        self.queue.put(self.choice, token)
        if token.finish_reason is None:
            return False
        self.done = True
        self._measure(now, token.finish_reason, metrics)
        return True

    def _measure(self, now: float, reason: str, metrics: EngineMetrics) -> None:
        """At the end only: as in vLLM, an aborted request is not measured."""
        metrics.finished[reason].inc()
        metrics.e2e.observe(now - self.arrived)
        metrics.request_prompt_tokens.observe(len(self.prompt))
        metrics.request_generation_tokens.observe(self.produced)
        decode_time = self.last_token - self.first_token
        metrics.queue_time.observe(self.scheduled - self.arrived)
        metrics.prefill_time.observe(self.first_token - self.scheduled)
        metrics.decode_time.observe(decode_time)
        metrics.inference_time.observe(self.last_token - self.scheduled)
        if self.produced > 1:
            metrics.tpot.observe(decode_time / (self.produced - 1))
