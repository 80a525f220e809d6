{{/* Objects of two parts of the release with one name: Helm would install one, or neither. */}}
{{- define "tierflow.validateNames" -}}
{{- $prefix := include "tierflow.prefix" . -}}
{{- include "model-pool.validateService" (list $prefix "the release") -}}
{{- $taken := dict (printf "%s-default-deny" $prefix) "this release's NetworkPolicy default-deny" -}}
{{- if include "redis.bundled" . -}}
{{- $_ := set $taken (include "redis.fullname" .) "this release's redis" -}}
{{- end -}}
{{- $accounts := dict -}}
{{- if .Values.gateway.enabled -}}
{{- $gateway := index .Subcharts "gateway" -}}
{{- $name := include "gateway.fullname" $gateway -}}
{{- $_ := set $taken $name "this release's gateway" -}}
{{- $_ = set $taken (include "gateway.operationsName" $gateway) "the operators' Service of this release's gateway" -}}
{{- $_ = set $taken (printf "%s-test" $name) "the test of this release's gateway" -}}
{{- if $gateway.Values.serviceAccount.create -}}
{{- $_ = set $accounts (include "gateway.serviceAccountName" $gateway) "the gateway" -}}
{{- end -}}
{{- end -}}
{{- range $name, $pool := .Values.pools -}}
{{- if and (kindIs "map" $pool) (dig "enabled" true $pool) -}}
{{- $values := deepCopy (index $.Subcharts "model-pool").Values -}}
{{- include "tierflow.poolValues" (list $ $name $pool $values) -}}
{{- $context := dict "Values" $values "Release" $.Release -}}
{{- $full := include "model-pool.fullname" $context -}}
{{- if hasKey $taken $full -}}
{{- fail (printf "pools.%s: its name %s is taken by %s; choose another name, or a fullnameOverride that no other has" $name $full (get $taken $full)) -}}
{{- end -}}
{{- $_ := set $taken $full (printf "pools.%s" $name) -}}
{{- if $values.serviceAccount.create -}}
{{- $account := include "model-pool.serviceAccountName" $context -}}
{{- if hasKey $accounts $account -}}
{{- fail (printf "pools.%s.serviceAccount.name: %s is also made for %s; give each its own name, or make the account yourself and set serviceAccount.create: false" $name $account (get $accounts $account)) -}}
{{- end -}}
{{- $_ := set $accounts $account (printf "pools.%s" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
