"""The Prometheus series that vLLM 0.32 exports, by the same names, labels and buckets.

Source of names and buckets: vllm/v1/metrics/loggers.py and buckets.py of that version.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8"
_TTFT = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    20.0, 40.0, 80.0, 160.0, 640.0, 2560.0,
)  # fmt: skip
_ITL = (
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0,
    40.0, 80.0,
)  # fmt: skip
_LATENCY = (
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0,
    480.0, 960.0, 1920.0, 7680.0,
)  # fmt: skip
_FINISH_REASONS = ("stop", "length", "abort", "error", "repetition")


def _tokens(max_model_len: int) -> tuple[float, ...]:
    """1, 2, 5, 10, ... up to the context length."""
    steps = (mantissa * 10**power for power in range(10) for mantissa in (1, 2, 5))
    return tuple(float(step) for step in steps if step <= max(1, max_model_len))


class EngineMetrics:
    """The metrics of one engine, as bound series: an observation is one call."""

    def __init__(self, model: str, max_model_len: int, draft_tokens: int) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._labels = {"model_name": model, "engine": "0"}
        tokens = _tokens(max_model_len)
        self.running = self._gauge("num_requests_running", "Requests in execution batches.")
        self.waiting = self._gauge("num_requests_waiting", "Requests waiting to be processed.")
        self.kv_usage = self._gauge("kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent.")
        self.prompt_tokens = self._counter("prompt_tokens", "Prefill tokens processed.")
        self.cached_tokens = self._counter("prompt_tokens_cached", "Cached prompt tokens.")
        self.generation_tokens = self._counter("generation_tokens", "Generation tokens processed.")
        self.prefix_queries = self._counter("prefix_cache_queries", "Queried prompt tokens.")
        self.prefix_hits = self._counter("prefix_cache_hits", "Cached prompt tokens.")
        self.preemptions = self._counter("num_preemptions", "Preemptions of the engine.")
        self.ttft = self._histogram("time_to_first_token_seconds", _TTFT)
        self.itl = self._histogram("inter_token_latency_seconds", _ITL)
        self.tpot = self._histogram("request_time_per_output_token_seconds", _ITL)
        self.e2e = self._histogram("e2e_request_latency_seconds", _LATENCY)
        self.queue_time = self._histogram("request_queue_time_seconds", _LATENCY)
        self.inference_time = self._histogram("request_inference_time_seconds", _LATENCY)
        self.prefill_time = self._histogram("request_prefill_time_seconds", _LATENCY)
        self.decode_time = self._histogram("request_decode_time_seconds", _LATENCY)
        self.request_prompt_tokens = self._histogram("request_prompt_tokens", tokens)
        self.request_generation_tokens = self._histogram("request_generation_tokens", tokens)
        finished = self._family(Counter, "request_success", "Finished requests.", "finished_reason")
        self.finished = {
            reason: finished.labels(**self._labels, finished_reason=reason)
            for reason in _FINISH_REASONS
        }
        if draft_tokens:
            self._speculation(draft_tokens)

    def render(self) -> bytes:
        return generate_latest(self.registry)

    def _speculation(self, draft_tokens: int) -> None:
        self.drafts = self._counter("spec_decode_num_drafts", "Drafts.")
        self.draft_tokens = self._counter("spec_decode_num_draft_tokens", "Draft tokens.")
        self.accepted_tokens = self._counter("spec_decode_num_accepted_tokens", "Accepted tokens.")
        per_position = self._family(
            Counter, "spec_decode_num_accepted_tokens_per_pos", "By draft position.", "position"
        )
        self.accepted_at = [
            per_position.labels(**self._labels, position=str(position))
            for position in range(draft_tokens)
        ]

    def _family(self, kind: type[Counter], name: str, text: str, *extra: str) -> Counter:
        return kind(f"vllm:{name}", text, [*self._labels, *extra], registry=self.registry)

    def _counter(self, name: str, text: str) -> Counter:
        return self._family(Counter, name, text).labels(**self._labels)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"vllm:{name}", text, list(self._labels), registry=self.registry).labels(
            **self._labels
        )

    def _histogram(self, name: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(
            f"vllm:{name}",
            f"Histogram of {name.replace('_', ' ')}.",
            list(self._labels),
            buckets=buckets,
            registry=self.registry,
        ).labels(**self._labels)
