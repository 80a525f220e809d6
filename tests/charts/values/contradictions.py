"""Values that can't work, each with words of the sentence that says what to change."""

from typing import Any


def gateway(**values: Any) -> dict[str, Any]:
    return {"gateway": values}


def edge(**values: Any) -> dict[str, Any]:
    return {"pools": {"edge": values}}


HUB = {"model": {"hub": "a/b"}}
MULTI_NODE = {"enabled": True, "size": 2}


def several_nodes(**engine: int) -> dict[str, Any]:
    return edge(
        multiNode=MULTI_NODE, gpu={"count": 2}, drafts={"enabled": False}, engine=dict(engine)
    )


CLOUD = "rill-cloud"

CONTRADICTIONS: list[tuple[dict[str, Any], str]] = [
    (
        edge(model={"hub": "a/b", "claim": {"name": "c"}}),
        "pool edge: model.claim and model.hub are both given",
    ),
    (
        edge(model={"hub": "a/b", "image": {"reference": "x:1"}}),
        "pool edge: model.hub and model.image are both given",
    ),
    (edge(model={"shipped": ""}), "no model"),
    (edge(model={"claim": {"name": "c"}}), "pool edge: set model.name"),
    (edge(image={"tag": "latest"}), "image.tag latest"),
    *(
        (
            edge(model={"name": "a", "image": {"reference": reference}}),
            f"model.image.reference {reference} would change under a running release",
        )
        for reference in (
            "example.org/a:latest",
            "example.org/a",
            "example.org:5000/a",
            "a@sha256:0",
        )
    ),
    (
        edge(lifecycle={"preStopSeconds": 40}),
        "lifecycle.terminationGracePeriodSeconds (60) must be above preStopSeconds + "
        "engine.shutdownSeconds (70)",
    ),
    (
        edge(replicas=2, model={"hub": "a/b"}),
        "2 pods share one volume, and download.claim.accessModes lets only one node mount it",
    ),
    (
        edge(gpu={"count": 1}, engine={"tensorParallelSize": 2}),
        "is 2 x 1, and the engine has 1 GPUs; make the product equal to gpu.count",
    ),
    (edge(gpu={"count": 4}, engine={"tensorParallelSize": 2}), "2 x 1, and the engine has 4 GPUs"),
    (several_nodes(tensorParallelSize=4), "is 4 x 2, and the engine has 4 GPUs"),
    (several_nodes(pipelineParallelSize=1), "is 2 x 1, and the engine has 4 GPUs"),
    (
        edge(
            gpu={"count": 1, "products": ["L4"]},
            affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}},
        ),
        "gpu.products and affinity.nodeAffinity are both given",
    ),
    (edge(multiNode=MULTI_NODE), "multiNode.enabled needs GPUs; set gpu.count"),
    (edge(multiNode=MULTI_NODE, gpu={"count": 1}), "set drafts.enabled: false"),
    (edge(lora={"modules": [{"name": "sql"}]}), "the LoRA module sql needs one of hub and path"),
    (
        edge(keda={"enabled": True, "minReplicas": 0}),
        "pools.edge.keda.minReplicas is 0, so its requests must wait somewhere while it starts",
    ),
    (
        edge(keda={"enabled": True, "minReplicas": 9}),
        "keda.minReplicas is above keda.maxReplicas",
    ),
    (
        edge(keda={"enabled": True, "trigger": "prometheus"}),
        "keda.trigger prometheus needs keda.prometheus.serverAddress",
    ),
    (
        edge(keda={"enabled": True}) | gateway(enabled=False),
        "no gateway in this release for KEDA to ask; set keda.gatewayUrl",
    ),
    ({"pools": {"Edge_1": {"tier": "edge"}}}, "lower-case letters, digits and hyphens"),
    (
        {"pools": {"gateway": {"tier": "edge"}}},
        "pools.gateway: its name tierflow-gateway is taken by this release's gateway",
    ),
    ({"pools": {"gateway-test": {"tier": "edge"}}}, "taken by the test of this release's gateway"),
    ({"pools": {"redis": {"tier": "edge"}}}, "tierflow-redis is taken by this release's redis"),
    (
        {"pools": {"default-deny": {"tier": "edge"}}},
        "tierflow-default-deny is taken by this release's NetworkPolicy default-deny",
    ),
    (
        {"pools": {"edge": {"fullnameOverride": "one"}, "cloud": {"fullnameOverride": "one"}}},
        "pools.edge: its name one is taken by pools.cloud",
    ),
    (
        {"model-pool": {"serviceAccount": {"name": "x"}}},
        "pools.edge.serviceAccount.name: x is also made for pools.cloud",
    ),
    (
        edge(serviceAccount={"name": "tierflow-gateway"}),
        "pools.edge.serviceAccount.name: tierflow-gateway is also made for the gateway",
    ),
    (
        edge(podLabels={"app.kubernetes.io/component": "x"}),
        "pool edge: podLabels: the chart sets app.kubernetes.io/component itself; take it out",
    ),
    (
        edge(podMonitor={"enabled": True, "labels": {"tierflow.dev/pool": "x"}}),
        "pool edge: podMonitor.labels: the chart sets tierflow.dev/pool itself",
    ),
    (
        gateway(podLabels={"app.kubernetes.io/component": "x"}),
        "gateway: podLabels: the chart sets app.kubernetes.io/component itself; take it out",
    ),
    (gateway(fullnameOverride="1st"), "gateway: no Service can be called 1st"),
    (edge(fullnameOverride="1st"), "pool edge: no Service can be called 1st"),
    ({"pools": {"spare": {}}}, "pools.spare.tier: set edge or cloud"),
    (
        gateway(pools={"cloud": {"tier": "cloud", "endpoints": ["https://x.example"]}}),
        "pools.cloud runs here, and gateway.pools.cloud lists endpoints elsewhere",
    ),
    (gateway(pools={"edge": {"tier": "cloud"}}), "gateway.pools.edge.tier is cloud"),
    (
        gateway(lifecycle={"terminationGracePeriodSeconds": 20}),
        "must be noticeSeconds + drainSeconds + 15 (325) at least",
    ),
    (gateway(ingress={"enabled": True}), "ingress.enabled needs ingress.hosts"),
    (gateway(httpRoute={"enabled": True}), "httpRoute.enabled needs httpRoute.parentRefs"),
    (
        gateway(autoscaling={"minReplicas": 9}),
        "autoscaling.minReplicas is above autoscaling.maxReplicas",
    ),
    (
        gateway(keda={"enabled": True, "trigger": "prometheus"}),
        "keda.trigger prometheus needs keda.prometheus.serverAddress",
    ),
    (
        gateway(discovery={"enabled": False}),
        "no pools; turn discovery.enabled on",
    ),
    (
        gateway(discovery={"enabled": False}, pools={"edge": {"tier": "edge"}}),
        "pools.edge has no endpoints, and discovery.enabled is false",
    ),
    (
        gateway(pools={"far": {"tier": "cloud", "endpoints": ["https://x"], "api_key": "k"}}),
        "would stand in a ConfigMap; name a Secret instead (apiKeySecret)",
    ),
    (
        gateway(pools={"far": {"tier": "cloud", "mailbox_secret": "k"}}),
        "would stand in a ConfigMap; name a Secret instead (drafts.existingSecret)",
    ),
    (gateway(config={"listen": {"port": 9090}}), "config.listen.port: the pod's ports"),
    (
        gateway(config={"pools": {"far": {"tier": "cloud", "api_key": "k"}}}),
        "config.pools: say it under `pools`",
    ),
    (gateway(config={"discovery": None}), "config.discovery: say it under `discovery`"),
    (
        gateway(config={"discovery": {"namespaces": ["far"]}}),
        "config.discovery: say it under `discovery`",
    ),
    (
        gateway(config={"discovery": {"api_key": "k"}}),
        "config.discovery: say it under `discovery`",
    ),
    (gateway(config={"discovery": None}), "config.discovery: say it under `discovery`"),
    (
        {"redis": {"external": {"url": "redis://x", "existingSecret": "y"}}},
        "redis.external: url and existingSecret are both given",
    ),
    (
        {"redis": {"external": {"existingSecret": "mine"}}},
        "gateway.state.existingSecret is tierflow-redis, and Redis' URL is in mine",
    ),
    (gateway(state={"existingSecret": "mine"}), "Redis' URL is in tierflow-redis; say the same"),
    (
        {"redis": {"external": {"url": "redis://cache.example.org"}}},
        "gateway.state.ports: list the port of redis.external",
    ),
    (
        gateway(config={"state": {"redis": {"url": "redis://:word@host"}}}),
        "config.state.redis.url: it is secret",
    ),
    (gateway(config={"state": {"when_lost": "open"}}), "when_lost is the value state.whenLost"),
    (
        {"redis": {"maxMemory": "256mb"}},
        "redis.maxMemory is 256mb, and redis.resources.limits.memory 256Mi leaves no room",
    ),
    (
        {"redis": {"resources": {"requests": {"memory": "1Gi"}}}},
        "redis: redis.resources.requests.memory is 1Gi, above its limit of 256Mi",
    ),
    (
        edge(engine={"kvCacheGiB": 3.5}),
        "pool edge: sharedMemory (512Mi) and engine.kvCacheGiB (3.5) leave nothing of "
        "resources.limits.memory (4Gi)",
    ),
    (edge(sharedMemory="4Gi"), "sharedMemory (4Gi) and engine.kvCacheGiB (1) leave nothing"),
    (
        edge(gpu={"count": 1}, sharedMemory="32Gi"),
        "sharedMemory (32Gi) leave nothing of resources.limits.memory (32Gi)",
    ),
    (edge(sharedMemory="64Mi"), "pool edge: sharedMemory is 64Mi, and vLLM needs 160Mi"),
    (
        {"redis": {"external": {"url": "rediss://cache.example.org:6390/0"}}}
        | gateway(state={"ports": [6379]}),
        "gateway.state.ports: redis.external.url has the port 6390, which is not among them",
    ),
    (
        {"redis": {"external": {"url": "redis://cache.example.org/0"}}}
        | gateway(state={"ports": [6380]}),
        "redis.external.url has the port 6379, which is not among them",
    ),
    (
        edge(podMonitor={"enabled": True}),
        "pool edge: podMonitor.enabled needs networkPolicy.metricsFrom, which lets Prometheus in",
    ),
    (
        {"global": {"imageRegistry": "https://registry.example.org"}},
        'global.imageRegistry is "https://registry.example.org"; images have a host and a path',
    ),
    (edge(image={"registry": "http://x"}), 'pool edge: image.registry is "http://x"; images have'),
    (
        {"redis": {"image": {"repository": "oci://valkey"}}},
        'redis: image.repository is "oci://valkey"',
    ),
    (
        gateway(resources={"requests": {"cpu": "2500m"}}),
        "gateway: resources.requests.cpu is 2500m, above its limit of 2; lower it, or raise",
    ),
    (
        gateway(test={"resources": {"requests": {"memory": "1G"}}}),
        "gateway: test.resources.requests.memory is 1G, above its limit of 256Mi",
    ),
    (
        edge(resources={"limits": {"memory": "2Gi"}}),
        "pool edge: resources.requests.memory is 3Gi, above its limit of 2Gi",
    ),
    (
        edge(download={"resources": {"requests": {"cpu": 4}}}),
        "pool edge: download.resources.requests.cpu is 4, above its limit of 2",
    ),
    (
        gateway(resources={"limits": {"ephemeral-storage": "32Mi"}}),
        "gateway: resources.limits.ephemeral-storage is 32Mi, and the pod's volumes may hold 64Mi",
    ),
    (
        edge(
            model={"hub": "a/b"},
            download={"storage": "ephemeral"},
            resources={"limits": {"ephemeral-storage": "55Gi"}},
        ),
        "ephemeral-storage is 55Gi, and the pod's volumes may hold 10Gi and 50Gi",
    ),
    (gateway(service={"nodePort": 30080}), "service.nodePort needs service.type NodePort"),
    (
        gateway(service={"externalTrafficPolicy": "Local"}),
        "service.externalTrafficPolicy needs service.type NodePort or LoadBalancer",
    ),
    *(
        (gateway(service={name: value}), f"service.{name} needs service.type LoadBalancer")
        for name, value in (
            ("loadBalancerClass", "x"),
            ("loadBalancerIP", "192.0.2.1"),
            ("loadBalancerSourceRanges", ["192.0.2.0/24"]),
        )
    ),
    (
        gateway(serviceMonitor={"enabled": True, "interval": "5s"}),
        "gateway: serviceMonitor.scrapeTimeout 10s is longer than its interval 5s",
    ),
    (
        gateway(serviceAccount={"create": False}),
        "the Role would go to the namespace's `default`, which other pods have, too",
    ),
    (
        gateway(devices={"names": ["kitchen"], "existingSecret": "mine"}),
        "devices.names and devices.existingSecret are both given",
    ),
    (
        gateway(autoscaling={"targetCPUUtilizationPercentage": None}),
        "autoscaling.enabled needs a target",
    ),
    *(
        (edge(engine={"args": arguments}), f"pool edge: engine.args: {words}")
        for arguments, words in (
            (["--port", 9], "--port: the pod's probes, Service and policies are made for"),
            (["--seed", 1, "--host=::"], "--host: the pod's probes, Service and policies"),
            (["--uds", "/tmp/socket"], "--uds: the pod's probes"),
            (["--served_model_name=x"], "--served-model-name: say it in model.name"),
            (["--model", "x"], "--model: say it under `model`"),
            (["--draft-mailbox=0.0.0.0:9"], "--draft-mailbox: say it under `drafts`"),
            (["--api-key", "k"], "--api-key: it is secret"),
            (["--ssl-certfile", "/c"], "--ssl-certfile: probes, policies and the gateway reach"),
            (["-tp", 2], "-tp: say it in engine.tensorParallelSize"),
            (["--shutdown-timeout", 9], "--shutdown-timeout: say it in engine.shutdownSeconds"),
        )
    ),
    *(
        (values, f"{place}: no model is called {name}; did you mean {meant}?")
        for values, place, name, meant in (
            (gateway(family=["rill-edge", "rill-clud"]), "gateway.family", "rill-clud", CLOUD),
            (gateway(family=["rill-edge", "rill-clodu"]), "gateway.family", "rill-clodu", CLOUD),
            (gateway(family=["rill-edge", "rill-xcloud"]), "gateway.family", "rill-xcloud", CLOUD),
            (
                gateway(config={"family": ["rill-edge", "Rill-clout"]}),
                "gateway.config.family",
                "Rill-clout",
                CLOUD,
            ),
            (
                gateway(config={"collective": {"aggregator": "rill-clod"}}),
                "gateway.config.collective.aggregator",
                "rill-clod",
                CLOUD,
            ),
            (
                gateway(
                    config={
                        "cascade": {"stages": [{"model": "tierflow-edg"}, {"model": "rill-cloud"}]}
                    }
                ),
                "gateway.config.cascade.stages.0.model",
                "tierflow-edg",
                "tierflow-edge",
            ),
            (
                edge(model={"name": "qwen-7b-chat"}) | gateway(family=["qwen-7b-chad"]),
                "gateway.family",
                "qwen-7b-chad",
                "qwen-7b-chat",
            ),
        )
    ),
    (
        gateway(
            config={"limits": {"max_bodies_bytes": 99_999_999_999}},
            resources={"limits": {"memory": "1Gi"}},
        ),
        "config.limits.max_bodies_bytes is 99999999999, and resources.limits.memory 1Gi leaves no",
    ),
    *(
        (values | {"global": {"commonLabels": {"app.kubernetes.io/instance": "x"}}}, words)
        for values, words in (
            ({}, "gateway: global.commonLabels: the chart sets app.kubernetes.io/instance itself"),
            (gateway(enabled=False), "commonLabels: the chart sets app.kubernetes.io/instance"),
        )
    ),
]
