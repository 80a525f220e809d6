{{/* What the gateway would refuse at its start, as gateway/settings and gateway/wiring/pools.py do:
     a pod that restarts for ever says it to nobody. */}}
{{- define "gateway.validatePools" -}}
{{- $static := false -}}
{{- range $name, $pool := .Values.pools -}}
{{- if $pool.endpoints -}}
{{- $static = true -}}
{{- else if not $.Values.discovery.enabled -}}
{{- fail (printf "gateway: pools.%s has no endpoints, and discovery.enabled is false; list its endpoints, or turn discovery on" $name) -}}
{{- end -}}
{{- include "gateway.validateSecrets" (list $ $name $pool) -}}
{{- include "gateway.validateProbe" (list $name $pool) -}}
{{- include "gateway.validateProfile" (list $ $name $pool) -}}
{{- end -}}
{{- if not (or $static .Values.discovery.enabled) -}}
{{- fail "gateway: no pools; turn discovery.enabled on, or list a pool with its endpoints under `pools`" -}}
{{- end -}}
{{- include "gateway.validateEndpoints" . -}}
{{- end -}}

{{/* list root name pool */}}
{{- define "gateway.validateSecrets" -}}
{{- $name := index . 1 -}}
{{- $pool := last . -}}
{{- range $secret := list "api_key" "mailbox_secret" -}}
{{- if hasKey $pool $secret -}}
{{- fail (printf "gateway: pools.%s.%s would stand in a ConfigMap; name a Secret instead (%s)" $name $secret (ternary "apiKeySecret" "drafts.existingSecret" (eq $secret "api_key"))) -}}
{{- end -}}
{{- end -}}
{{- if $pool.mailboxes -}}
{{- if not (first .).Values.drafts.existingSecret -}}
{{- fail (printf "gateway: pools.%s.mailboxes needs drafts.existingSecret, the engines' own" $name) -}}
{{- end -}}
{{- if ne (len $pool.mailboxes) (len ($pool.endpoints | default list)) -}}
{{- fail (printf "gateway: pools.%s.mailboxes: %d for %d endpoints; give one per endpoint, in their order" $name (len $pool.mailboxes) (len ($pool.endpoints | default list))) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* list name pool */}}
{{- define "gateway.validateProbe" -}}
{{- $name := first . -}}
{{- $pool := last . -}}
{{- if eq (toString $pool.probe) "answers" -}}
{{- if not $pool.endpoints -}}
{{- fail (printf "gateway: pools.%s.probe: `answers` needs a list of `endpoints`; give `models` or `engine` for those that discovery finds" $name) -}}
{{- end -}}
{{- if not $pool.models -}}
{{- fail (printf "gateway: pools.%s.models: list what the pool serves; `probe: answers` does not ask for it" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The routing profiles inside the gateway, gateway/core/routing/profiles.yaml. */}}
{{- define "gateway.shippedProfiles" -}}
default least-loaded spread
{{- end -}}

{{/* list root name pool */}}
{{- define "gateway.validateProfile" -}}
{{- $pool := last . -}}
{{- $own := (first .).Values.config.profiles | default dict -}}
{{- $known := concat (splitList " " (include "gateway.shippedProfiles" .)) (keys $own) | uniq | sortAlpha -}}
{{- if and $pool.profile (not (has $pool.profile $known)) -}}
{{- fail (printf "gateway: pools.%s.profile: there is no %s; take one of %s, or describe it under config.profiles" (index . 1) $pool.profile (join ", " $known)) -}}
{{- end -}}
{{- end -}}

{{/* The gateway tells endpoints apart by host, port and path. */}}
{{- define "gateway.validateEndpoints" -}}
{{- $seen := dict -}}
{{- range $name, $pool := .Values.pools -}}
{{- range $pool.endpoints -}}
{{- $id := regexReplaceAll "/+$" . "" | trimPrefix "https://" | trimPrefix "http://" | regexFind "^[^?#]*" -}}
{{- with index $seen $id -}}
{{- fail (printf "gateway: pools.%s.endpoints: %s stands in pools.%s already; list it once" $name $id .) -}}
{{- end -}}
{{- $_ := set $seen $id $name -}}
{{- end -}}
{{- end -}}
{{- end -}}
