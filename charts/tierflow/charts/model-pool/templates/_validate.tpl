{{/* Values that contradict each other stop the render, with a sentence that says what to change. */}}
{{- define "model-pool.validate" -}}
{{- $pool := include "model-pool.pool" . -}}
{{- include "model-pool.validateName" $pool -}}
{{- include "model-pool.validateService" (list (include "model-pool.fullname" .) (printf "pool %s" $pool)) -}}
{{- include "model-pool.validateLabels" . -}}
{{- if eq (toString .Values.image.tag) "latest" -}}
{{- fail (printf "pool %s: image.tag latest would change under a running release; name a version" $pool) -}}
{{- end -}}
{{- include "model-pool.validateArguments" . -}}
{{- include "model-pool.validateModel" . -}}
{{- include "model-pool.validateStorage" . -}}
{{- include "model-pool.validateParallel" . -}}
{{- include "model-pool.validateMemory" . -}}
{{- $part := printf "pool %s" $pool -}}
{{- include "tierflow-object.validateResources" (list $part "resources" (include "model-pool.resources" . | fromYaml)) -}}
{{- include "tierflow-object.validateResources" (list $part "download.resources" .Values.download.resources) -}}
{{- include "tierflow-object.validateResources" (list $part "test.resources" .Values.test.resources) -}}
{{- include "tierflow-object.validateScrape" (list $part "podMonitor" .Values.podMonitor) -}}
{{- $policy := .Values.networkPolicy -}}
{{- if and .Values.podMonitor.enabled $policy.enabled (not $policy.metricsFrom) (not $policy.ingress) -}}
{{- fail (printf "pool %s: podMonitor.enabled needs networkPolicy.metricsFrom, which lets Prometheus in, such as [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]" $pool) -}}
{{- end -}}
{{- $stop := add (int .Values.lifecycle.preStopSeconds) (int .Values.engine.shutdownSeconds) -}}
{{- if le (int .Values.lifecycle.terminationGracePeriodSeconds) (int $stop) -}}
{{- fail (printf "pool %s: lifecycle.terminationGracePeriodSeconds (%d) must be above preStopSeconds + engine.shutdownSeconds (%d), or requests are cut off" $pool (int .Values.lifecycle.terminationGracePeriodSeconds) $stop) -}}
{{- end -}}
{{- if and .Values.keda.enabled (gt (int .Values.keda.minReplicas) (int .Values.keda.maxReplicas)) -}}
{{- fail (printf "pool %s: keda.minReplicas is above keda.maxReplicas" $pool) -}}
{{- end -}}
{{- if and .Values.keda.enabled (eq .Values.keda.trigger "prometheus") (not .Values.keda.prometheus.serverAddress) -}}
{{- fail (printf "pool %s: keda.trigger prometheus needs keda.prometheus.serverAddress" $pool) -}}
{{- end -}}
{{- if and .Values.keda.enabled (eq .Values.keda.trigger "metrics-api") (not .Values.keda.gatewayUrl) -}}
{{- fail (printf "pool %s: there is no gateway in this release for KEDA to ask; set keda.gatewayUrl, such as http://tierflow-gateway-operations.%s.svc:8081/metrics" $pool .Release.Namespace) -}}
{{- end -}}
{{- end -}}

{{- define "model-pool.validateName" -}}
{{- if not (regexMatch "^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$" .) -}}
{{- fail (printf "pool %q: a pool's name has lower-case letters, digits and hyphens, 32 at most; give it one with `pool`, in the chart tierflow its key in `pools`" .) -}}
{{- end -}}
{{- end -}}

{{/* list name part: Helm allows names for releases that Kubernetes does not for Services. */}}
{{- define "model-pool.validateService" -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" (first .)) -}}
{{- fail (printf "%s: no Service can be called %s; set global.fullnameOverride, or this part's fullnameOverride, to lower-case letters, digits and hyphens, a letter first" (last .) (first .)) -}}
{{- end -}}
{{- end -}}

{{/* A label that is given twice is no YAML, and a changed one would be found by no selector. */}}
{{- define "model-pool.validateLabels" -}}
{{- $pool := include "model-pool.pool" . -}}
{{- $own := merge (include "model-pool.labels" . | fromYaml) (include "model-pool.discoveryLabels" . | fromYaml) -}}
{{- range $value, $labels := dict "global.commonLabels" .Values.global.commonLabels "service.labels" .Values.service.labels "podLabels" .Values.podLabels "podMonitor.labels" .Values.podMonitor.labels -}}
{{- range $label, $_ := $labels -}}
{{- if or (hasKey $own $label) (hasPrefix "tierflow.dev/" $label) -}}
{{- fail (printf "pool %s: %s: the chart sets %s itself; take it out" $pool $value $label) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "model-pool.validateModel" -}}
{{- $pool := include "model-pool.pool" . -}}
{{- $model := .Values.model -}}
{{- $given := list -}}
{{- range $name, $value := dict "model.hub" $model.hub "model.claim" ($model.claim).name "model.image" ($model.image).reference -}}
{{- if $value -}}{{- $given = append $given $name -}}{{- end -}}
{{- end -}}
{{- if gt (len $given) 1 -}}
{{- fail (printf "pool %s: %s are both given; a pool serves one model, so keep one" $pool (join " and " (sortAlpha $given))) -}}
{{- end -}}
{{- if not (include "model-pool.source" .) -}}
{{- fail (printf "pool %s: no model; set one of model.shipped, model.hub, model.claim and model.image" $pool) -}}
{{- end -}}
{{- if not (include "model-pool.modelName" .) -}}
{{- fail (printf "pool %s: set model.name, the name under which the model of %s is served" $pool (first $given)) -}}
{{- end -}}
{{- if and (eq (include "model-pool.source" .) "image") (eq $model.image.mount "volume") (semverCompare "<1.33.0-0" .Capabilities.KubeVersion.Version) -}}
{{- fail (printf "pool %s: this cluster (%s) mounts no image volumes; set model.image.mount: copy" $pool .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- $reference := ($model.image).reference -}}
{{- $pinned := and (regexMatch "^[^:@]+(:[A-Za-z0-9_][A-Za-z0-9_.-]*(@sha256:[0-9a-f]{64})?|@sha256:[0-9a-f]{64})$" (base (toString $reference))) (not (hasSuffix ":latest" $reference)) -}}
{{- if and $reference (not $pinned) -}}
{{- fail (printf "pool %s: model.image.reference %s would change under a running release; name a tag other than latest, or a digest" $pool $reference) -}}
{{- end -}}
{{- range .Values.lora.modules -}}
{{- if eq (empty .hub) (empty .path) -}}
{{- fail (printf "pool %s: the LoRA module %s needs one of hub and path" $pool .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Whether an engine has room for what it is told to keep, in its memory and on its disk. */}}
{{- define "model-pool.validateMemory" -}}
{{- $pool := include "model-pool.pool" . -}}
{{- $resources := include "model-pool.resources" . | fromYaml -}}
{{- $shared := include "model-pool.sharedMemory" . -}}
{{- $sharedBytes := include "tierflow-object.amount" $shared | float64 -}}
{{- if lt $sharedBytes 167772160.0 -}}
{{- fail (printf "pool %s: sharedMemory is %s, and vLLM needs 160Mi; raise it" $pool $shared) -}}
{{- end -}}
{{- $limit := dig "limits" "memory" "" $resources -}}
{{- $cache := 0.0 -}}
{{- if not (include "model-pool.onGpu" .) -}}
{{- $cache = mulf 1073741824.0 (.Values.engine.kvCacheGiB | default 1 | float64) -}}
{{- end -}}
{{- if and $limit (ge (addf $sharedBytes $cache) (include "tierflow-object.amount" $limit | float64)) -}}
{{- fail (printf "pool %s: sharedMemory (%s)%s leave nothing of resources.limits.memory (%v) to the model; raise the limit, or lower them" $pool $shared (include "model-pool.onGpu" . | empty | ternary (printf " and engine.kvCacheGiB (%v)" (.Values.engine.kvCacheGiB | default 1)) "") $limit) -}}
{{- end -}}
{{- $volumes := list .Values.temporary.sizeLimit -}}
{{- $downloaded := and (include "model-pool.hasDownloads" .) (ne (toString .Values.download.storage) "claim") -}}
{{- if or $downloaded (and (eq (include "model-pool.source" .) "image") (ne (toString .Values.model.image.mount) "volume")) -}}
{{- $volumes = append $volumes .Values.download.size -}}
{{- end -}}
{{- include "tierflow-object.validateDisk" (concat (list (printf "pool %s" $pool) $resources) $volumes) -}}
{{- end -}}

{{- define "model-pool.validateStorage" -}}
{{- $pool := include "model-pool.pool" . -}}
{{- $replicas := ternary (int .Values.keda.maxReplicas) (int .Values.replicas) (not (empty .Values.keda.enabled)) -}}
{{- if .Values.multiNode.enabled -}}
{{- $replicas = mul $replicas (int .Values.multiNode.size) -}}
{{- end -}}
{{- $own := and (include "model-pool.hasDownloads" .) (eq .Values.download.storage "claim") (not .Values.download.claim.existing) -}}
{{- if and $own (gt (int $replicas) 1) (not (has "ReadWriteMany" .Values.download.claim.accessModes)) -}}
{{- fail (printf "pool %s: %d pods share one volume, and download.claim.accessModes lets only one node mount it; add ReadWriteMany, or set download.storage: ephemeral" $pool (int $replicas)) -}}
{{- end -}}
{{- end -}}

{{- define "model-pool.validateParallel" -}}
{{- $pool := include "model-pool.pool" . -}}
{{- $gpus := int .Values.gpu.count -}}
{{- if .Values.multiNode.enabled -}}
{{- if not $gpus -}}
{{- fail (printf "pool %s: multiNode.enabled needs GPUs; set gpu.count" $pool) -}}
{{- end -}}
{{- if .Values.drafts.enabled -}}
{{- fail (printf "pool %s: an engine over several nodes takes no drafts; set drafts.enabled: false" $pool) -}}
{{- end -}}
{{- $gpus = mul $gpus (int .Values.multiNode.size) -}}
{{- end -}}
{{- $tensor := include "model-pool.tensorParallelSize" . | int -}}
{{- $pipeline := include "model-pool.pipelineParallelSize" . | int -}}
{{- $wanted := mul $tensor $pipeline | int -}}
{{- /* Replicas inside the engine share the GPUs; how, only vLLM knows. */ -}}
{{- $divided := regexMatch "(^| )(--data-parallel|-dp)" (join " " .Values.engine.args) -}}
{{- if and $gpus (or (gt $wanted (int $gpus)) (and (lt $wanted (int $gpus)) (not $divided))) -}}
{{- fail (printf "pool %s: engine.tensorParallelSize x engine.pipelineParallelSize is %d x %d, and the engine has %d GPUs; make the product equal to gpu.count, times multiNode.size where multiNode.enabled" $pool $tensor $pipeline (int $gpus)) -}}
{{- end -}}
{{- if and .Values.gpu.products (.Values.affinity).nodeAffinity -}}
{{- fail (printf "pool %s: gpu.products and affinity.nodeAffinity are both given; name the products in the latter, or use nodeSelector beside the former" $pool) -}}
{{- end -}}
{{- end -}}
