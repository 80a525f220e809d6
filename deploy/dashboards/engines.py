"""Engines: what vLLM itself tells of its queues, its cache and its speed."""

from __future__ import annotations

from typing import Any

from deploy.dashboards.panel import (
    NO_ENGINE,
    Dashboard,
    Panel,
    Query,
    Row,
    Variable,
    or_zero,
    quantile,
    rate,
    share,
)

AT = '{model_name=~"$model"}'
"""Of the engines that are chosen."""
BY = "model_name"


def engines(title: str, description: str, unit: str, *queries: Query, **more: Any) -> Panel:
    """A panel of engines' own figures; `more` are further fields."""
    told = {"empty": NO_ENGINE, **more}
    return Panel(title=title, description=description, unit=unit, queries=queries, **told)


def times(name: str) -> tuple[Query, Query]:
    """The median and the 95th percentile of one of vLLM's histograms."""
    return (
        Query(quantile(0.5, f"vllm:{name}{AT}", BY), "{{model_name}} p50"),
        Query(quantile(0.95, f"vllm:{name}{AT}", BY), "{{model_name}} p95"),
    )


NO_REQUEST = "no request at an engine in this time"
NOW = Row(
    title="Queues and cache",
    panels=[
        engines(
            "Running",
            "Requests in the engines' batches, added up over the engines of a model.",
            "short",
            Query(f"sum by ({BY}) (vllm:num_requests_running{AT})", "{{model_name}}"),
            stacked=True,
        ),
        engines(
            "Waiting",
            "Requests that wait in the engines' own queues. Long queues here mean that the pool "
            "needs engines, or that requests should go to another tier.",
            "short",
            Query(f"sum by ({BY}) (vllm:num_requests_waiting{AT})", "{{model_name}}"),
            stacked=True,
        ),
        engines(
            "Wait in the queue",
            "Time from a request's arrival at an engine to its first step.",
            "s",
            *times("request_queue_time_seconds"),
            empty=NO_REQUEST,
        ),
        engines(
            "KV cache in use, the fullest engine",
            "Share of the KV cache that is taken, at the fullest engine of each model. Near 1 "
            "requests are preempted.",
            "percentunit",
            Query(f"max by ({BY}) (vllm:kv_cache_usage_perc{AT})", "{{model_name}}"),
            most=1,
            dashed=True,
            steps=[("green", None), ("yellow", 0.8), ("red", 0.95)],
        ),
        engines(
            "Prompt tokens found in the prefix cache",
            "Share of prompts' tokens that were in the cache from an earlier request, and cost no "
            "work. It falls where requests of one session go to different engines.",
            "percentunit",
            Query(
                share(
                    rate(f"vllm:prefix_cache_hits_total{AT}", BY),
                    rate(f"vllm:prefix_cache_queries_total{AT}", BY),
                ),
                "{{model_name}}",
            ),
            empty=NO_REQUEST,
            most=1,
        ),
        engines(
            "Preemptions",
            "Requests a second that lost their place in the KV cache and must be computed again. "
            "More than a few: fewer requests at a time, or more memory.",
            "suffix:preemptions/s",
            Query(
                or_zero(rate(f"vllm:num_preemptions_total{AT}", BY), model_name="none"),
                "{{model_name}}",
            ),
        ),
    ],
)
WORK = Row(
    title="Work",
    panels=[
        engines(
            "Tokens made",
            "Tokens of answers that engines made a second, those that nobody waited for included.",
            "suffix:tok/s",
            Query(rate(f"vllm:generation_tokens_total{AT}", BY), "{{model_name}}"),
            stacked=True,
        ),
        engines(
            "Tokens read",
            "Tokens of prompts that engines read a second, those in the prefix cache included.",
            "suffix:tok/s",
            Query(rate(f"vllm:prompt_tokens_total{AT}", BY), "{{model_name}}"),
            stacked=True,
        ),
        engines(
            "How answers ended",
            "Requests that engines finished a second: stop (the model's end, or a stop text), "
            "length, abort (the caller left), error.",
            "reqps",
            Query(
                rate(f"vllm:request_success_total{AT}", "finished_reason"), "{{finished_reason}}"
            ),
            stacked=True,
        ),
    ],
)
SPEED = Row(
    title="Speed",
    panels=[
        engines(
            "First token, from arrival at the engine",
            "Time to first token as the engine sees it. What callers see beyond that is the way, "
            "and the wait at the gateway.",
            "s",
            *times("time_to_first_token_seconds"),
            empty=NO_REQUEST,
        ),
        engines(
            "Reading the prompt",
            "Time of the steps that read a request's prompt.",
            "s",
            *times("request_prefill_time_seconds"),
            empty=NO_REQUEST,
        ),
        engines(
            "Between two tokens",
            "Inter-token latency at the engine. Drafts that prove right shorten it, as several "
            "tokens come at once.",
            "s",
            *times("inter_token_latency_seconds"),
            empty=NO_REQUEST,
        ),
    ],
)
ENGINES = Dashboard(
    name="engines",
    title="Engines",
    description="Queues, KV cache, prefix hits, preemptions and speed, as the engines tell them.",
    variables=[
        Variable(
            name="model",
            title="Model",
            description="Served model, as engines name it.",
            of="vllm:num_requests_running",
            label="model_name",
        )
    ],
    rows=[NOW, WORK, SPEED],
)
