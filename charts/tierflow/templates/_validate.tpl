{{/* What only the whole can see. The pools and the gateway check themselves. */}}
{{- define "tierflow.validate" -}}
{{- $gateway := .Values.gateway -}}
{{- $tiers := list "edge" "cloud" -}}
{{- range $name, $pool := .Values.pools -}}
{{- if and $pool (dig "enabled" true $pool) -}}
{{- $values := deepCopy (index $.Subcharts "model-pool").Values -}}
{{- include "model-pool.overlay" (list $values (omit $pool "enabled")) -}}
{{- if not (has ($values.tier | default $name) $tiers) -}}
{{- fail (printf "pools.%s.tier: set edge or cloud" $name) -}}
{{- end -}}
{{- $policy := dig "pools" $name dict $gateway -}}
{{- if $policy.endpoints -}}
{{- fail (printf "pools.%s runs here, and gateway.pools.%s lists endpoints elsewhere; give one of them another name, or set pools.%s.enabled: false" $name $name $name) -}}
{{- end -}}
{{- if and $policy.tier (ne $policy.tier ($values.tier | default $name)) -}}
{{- fail (printf "gateway.pools.%s.tier is %s, and pools.%s.tier is %s" $name $policy.tier $name ($values.tier | default $name)) -}}
{{- end -}}
{{- if and $values.keda.enabled (eq (int $values.keda.minReplicas) 0) (not (gt (float64 ($policy.hold_s | default 0)) 0.0)) -}}
{{- fail (printf "pools.%s.keda.minReplicas is 0, so somebody must hold its requests while it starts: set gateway.pools.%s to {tier: %s, hold_s: 120}, seconds" $name $name ($values.tier | default $name)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
