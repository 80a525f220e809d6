{{/* list root template: that template of model-pool for each pool, with the pool's values over those
     of `model-pool`. */}}
{{- define "tierflow.pools" -}}
{{- $root := first . -}}
{{- $template := last . -}}
{{- $chart := index $root.Subcharts "model-pool" -}}
{{- range $name, $pool := $root.Values.pools -}}
{{- if and (kindIs "map" $pool) (dig "enabled" true $pool) -}}
{{- $values := deepCopy $chart.Values -}}
{{- include "tierflow.poolValues" (list $root $name $pool $values) -}}
{{- include "tierflow.gatewayUrl" (list $root $values) -}}
{{- $context := dict "Values" $values "Release" $root.Release "Chart" $chart.Chart "Files" $chart.Files "Capabilities" $root.Capabilities -}}
{{- with include $template $context | trim }}
---
{{ . }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* list root name pool values: makes `values`, a copy of model-pool's, the pool's own. */}}
{{- define "tierflow.poolValues" -}}
{{- $root := first . -}}
{{- $name := index . 1 -}}
{{- $values := last . -}}
{{- include "tierflow-object.overlay" (list $values (omit (index . 2) "enabled")) -}}
{{- $_ := set $values "pool" $name -}}
{{- $_ = set $values "tier" ($values.tier | default $name) -}}
{{- $_ = set $values "gatewayRelease" ($values.gatewayRelease | default $root.Release.Name) -}}
{{- $_ = set $values "global" $root.Values.global -}}
{{- $_ = set $values "library" true -}}
{{- include "tierflow-object.filled" (list $values (include "model-pool.shape" . | fromYaml)) -}}
{{- include "model-pool.validateNeeded" (dict "Values" $values "Release" $root.Release) -}}
{{- end -}}

{{/* list root values: where KEDA and Prometheus read the gateway's gauges. To sum over the replicas it compares the
     port with the pods' own. */}}
{{- define "tierflow.gatewayUrl" -}}
{{- $root := first . -}}
{{- $keda := (last .).keda -}}
{{- $joined := eq (last .).gatewayRelease $root.Release.Name -}}
{{- if and $root.Values.gateway.enabled $joined (not $keda.gatewayUrl) -}}
{{- $name := include "gateway.operationsName" (index $root.Subcharts "gateway") -}}
{{- $_ := set $keda "gatewayService" $name -}}
{{- $_ := set $keda "gatewayUrl" (printf "http://%s.%s.svc:8081/metrics" $name $root.Release.Namespace) -}}
{{- end -}}
{{- end -}}
