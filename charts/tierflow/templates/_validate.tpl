{{/* What only the whole can see. The pools and the gateway check themselves. */}}
{{- define "tierflow.validate" -}}
{{- if eq (toString .Values.redis.image.tag) "latest" -}}
{{- fail "redis: image.tag latest would change under a running release; name a version" -}}
{{- end -}}
{{- include "tierflow.validateRedis" . -}}
{{- include "tierflow.validateNames" . -}}
{{- include "tierflow.validateState" . -}}
{{- if .Values.gateway.enabled -}}
{{- include "tierflow.validateModels" . -}}
{{- end -}}
{{- range $name, $pool := .Values.pools -}}
{{- if and (kindIs "map" $pool) (dig "enabled" true $pool) -}}
{{- include "model-pool.validateName" $name -}}
{{- $values := deepCopy (index $.Subcharts "model-pool").Values -}}
{{- include "tierflow.poolValues" (list $ $name $pool $values) -}}
{{- $tier := $values.tier -}}
{{- if not (has $tier (list "edge" "cloud")) -}}
{{- fail (printf "pools.%s.tier: set edge or cloud" $name) -}}
{{- end -}}
{{- if $.Values.gateway.enabled -}}
{{- include "tierflow.validatePolicy" (list $ $name $tier) -}}
{{- include "tierflow.validateScaling" (list $ $name $tier $values.keda) -}}
{{- $secret := $values.drafts.existingSecret -}}
{{- if and $values.drafts.enabled $secret (ne $secret (include "gateway.draftsSecret" (index $.Subcharts "gateway" | merge (dict "Template" $.Template)))) -}}
{{- fail (printf "pools.%s.drafts.existingSecret is another than the gateway's, so no draft would reach it; set global.draftsSecret in its place" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What the bundled server could not live with. */}}
{{- define "tierflow.validateRedis" -}}
{{- $redis := .Values.redis -}}
{{- $own := include "redis.labels" . | fromYaml -}}
{{- range $value, $labels := dict "global.commonLabels" .Values.global.commonLabels "redis.podLabels" $redis.podLabels -}}
{{- range $label, $_ := $labels -}}
{{- if hasKey $own $label -}}
{{- fail (printf "%s: the chart sets %s itself; take it out" $value $label) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if include "redis.bundled" . -}}
{{- include "tierflow-object.validateResources" (list "redis" "redis.resources" $redis.resources) -}}
{{- $text := $redis.maxMemory | toString | lower -}}
{{- $unit := regexFind "[a-z]*$" $text -}}
{{- $bytes := mulf (trimSuffix $unit $text | float64) (get (dict "" 1.0 "b" 1.0 "k" 1e3 "kb" 1024.0 "m" 1e6 "mb" 1048576.0 "g" 1e9 "gb" 1073741824.0) $unit | float64) -}}
{{- $limit := dig "limits" "memory" "" $redis.resources -}}
{{- if and $limit (ge $bytes (include "tierflow-object.amount" $limit | float64)) -}}
{{- fail (printf "redis.maxMemory is %v, and redis.resources.limits.memory %v leaves no room beside it: the server would be killed before it is full; raise the limit, or lower maxMemory" $redis.maxMemory $limit) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* That the gateway is told of the Redis that is named here, and may reach it. */}}
{{- define "tierflow.validateState" -}}
{{- $external := .Values.redis.external -}}
{{- if .Values.gateway.enabled -}}
{{- $gateway := index .Subcharts "gateway" | merge (dict "Template" .Template) -}}
{{- $secret := include "gateway.stateSecret" $gateway -}}
{{- $wanted := $external.existingSecret | default (include "redis.secret" .) -}}
{{- if and (or (include "redis.bundled" .) $external.url $external.existingSecret) $secret (ne $secret $wanted) -}}
{{- fail (printf "gateway.state.existingSecret is %s, and Redis' URL is in %s; say the same, or set redis: {enabled: false} with no external" $secret $wanted) -}}
{{- end -}}
{{- $policy := $gateway.Values.networkPolicy -}}
{{- $shut := and $policy.enabled (not $gateway.Values.state.ports) (not $policy.egress) -}}
{{- if and $shut $secret (or $external.url $external.existingSecret) -}}
{{- fail "gateway.state.ports: list the port of redis.external, such as [6379]; the gateway's NetworkPolicy lets it out to no other" -}}
{{- end -}}
{{- if and $external.url $policy.enabled $secret (not $policy.egress) -}}
{{- $port := regexFind ":[0-9]+$" (urlParse $external.url).host | trimPrefix ":" | default "6379" | int -}}
{{- $open := list -}}
{{- range $gateway.Values.state.ports -}}{{- $open = append $open (int .) -}}{{- end -}}
{{- if not (has $port $open) -}}
{{- fail (printf "gateway.state.ports: redis.external.url has the port %d, which is not among them; the gateway's NetworkPolicy lets it out to no other" $port) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* list root name tier: what the gateway is told about a pool that runs here. */}}
{{- define "tierflow.validatePolicy" -}}
{{- $name := index . 1 -}}
{{- $tier := index . 2 -}}
{{- $policy := index (first .).Values.gateway.pools $name | default dict -}}
{{- if $policy.endpoints -}}
{{- fail (printf "pools.%s runs here, and gateway.pools.%s lists endpoints elsewhere; give one of them another name, or set pools.%s.enabled: false" $name $name $name) -}}
{{- end -}}
{{- if and $policy.tier (ne $policy.tier $tier) -}}
{{- fail (printf "gateway.pools.%s.tier is %s, and pools.%s.tier is %s; say the same" $name $policy.tier $name $tier) -}}
{{- end -}}
{{- end -}}

{{/* list root name tier keda */}}
{{- define "tierflow.validateScaling" -}}
{{- $gateway := (first .).Values.gateway -}}
{{- $name := index . 1 -}}
{{- $tier := index . 2 -}}
{{- $keda := last . -}}
{{- $policy := index $gateway.pools $name | default dict -}}
{{- if $keda.enabled -}}
{{- if and (eq (int $keda.minReplicas) 0) (le (float64 ($policy.hold_s | default 0)) 0.0) -}}
{{- fail (printf "pools.%s.keda.minReplicas is 0, so its requests must wait somewhere while it starts; set gateway.pools.%s: {tier: %s, hold_s: 120}, seconds" $name $name $tier) -}}
{{- end -}}
{{- if and (eq $keda.trigger "metrics-api") (not $keda.gatewayUrl) $gateway.tls.secretName $gateway.tls.operations -}}
{{- fail (printf "pools.%s.keda.trigger metrics-api reads the gateway by plain HTTP; with gateway.tls.secretName set keda.trigger to prometheus, or gateway.tls.operations to false" $name) -}}
{{- end -}}
{{- $several := or $gateway.autoscaling.enabled $gateway.keda.enabled (gt (int $gateway.replicas) 1) -}}
{{- if and $several (eq $keda.trigger "metrics-api") (not $keda.aggregate) -}}
{{- fail (printf "pools.%s.keda asks one gateway replica, and there may be several, each with requests of its own; set keda.trigger: prometheus, keda.aggregate: true (KEDA 2.20 or later), or one gateway replica without autoscaling" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
