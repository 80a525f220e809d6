"""How full the gateway and the engines are."""

from __future__ import annotations

from deploy.dashboards.panel import NO_ENGINE, Panel, Query, Row

SATURATION = Row(
    title="Saturation",
    panels=[
        Panel(
            title="At the gateway",
            description=(
                "Requests inside, and those that wait for admission, "
                "over all replicas. It does not depend on tier and model."
            ),
            unit="short",
            queries=[
                Query(
                    "sum(tierflow_in_flight_requests)",
                    "in flight",
                ),
                Query(
                    "sum(tierflow_queued_requests)",
                    "queued",
                ),
            ],
        ),
        Panel(
            title="In flight by pool",
            description=("Requests that the gateways have open at each pool's endpoints."),
            unit="short",
            stacked=True,
            queries=[
                Query(
                    ('sum by (tier, pool) (tierflow_endpoint_in_flight{tier=~"$tier"})'),
                    "{{tier}} {{pool}}",
                ),
            ],
        ),
        Panel(
            title="Endpoints that are full or down",
            description=(
                "Saturated: other tiers are preferred. Down: some "
                "gateway replica finds it unhealthy."
            ),
            unit="short",
            queries=[
                Query(
                    (
                        "sum by (pool) (max by (pool, endpoint, "
                        "exported_endpoint) "
                        '(tierflow_endpoint_saturated{tier=~"$tier"}))'
                    ),
                    "{{pool}} saturated",
                ),
                Query(
                    (
                        "sum by (pool) (1 - min by (pool, endpoint, "
                        "exported_endpoint) "
                        '(tierflow_endpoint_up{tier=~"$tier"}))'
                    ),
                    "{{pool}} down",
                ),
            ],
        ),
        Panel(
            title="Waiting at the endpoints, as the gateways see it",
            description=(
                "Requests in each pool's engine queues. This is what the "
                "choice of a tier goes by; it knows engines that "
                "Prometheus does not scrape."
            ),
            unit="short",
            queries=[
                Query(
                    (
                        "sum by (pool) (max by (pool, endpoint, "
                        "exported_endpoint) "
                        '(tierflow_endpoint_queue{tier=~"$tier"}))'
                    ),
                    "{{pool}}",
                ),
            ],
        ),
        Panel(
            title="Running and waiting at the engines",
            description=("What the engines say of themselves, by model, summed over replicas."),
            unit="short",
            empty=NO_ENGINE,
            queries=[
                Query(
                    (
                        "sum by (model_name) "
                        '(vllm:num_requests_running{tier=~"$tier", '
                        'model_name=~"$model"})'
                    ),
                    "{{model_name}} running",
                ),
                Query(
                    (
                        "sum by (model_name) "
                        '(vllm:num_requests_waiting{tier=~"$tier", '
                        'model_name=~"$model"})'
                    ),
                    "{{model_name}} waiting",
                ),
            ],
        ),
        Panel(
            title="KV cache in use",
            description=(
                "The fullest replica of each model. When it is full, "
                "requests wait or are preempted."
            ),
            unit="percentunit",
            empty=NO_ENGINE,
            steps=[("green", None), ("yellow", 0.8), ("red", 0.95)],
            dashed=True,
            most=1,
            queries=[
                Query(
                    (
                        "max by (model_name) "
                        '(vllm:kv_cache_usage_perc{tier=~"$tier", '
                        'model_name=~"$model"})'
                    ),
                    "{{model_name}}",
                ),
            ],
        ),
    ],
)
