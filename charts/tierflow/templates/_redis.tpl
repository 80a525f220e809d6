{{- define "redis.fullname" -}}
{{- printf "%s-redis" (include "tierflow.prefix" .) -}}
{{- end -}}

{{/* The Secret with Redis' URL, and what the bundled server reads. */}}
{{- define "redis.secret" -}}
{{- (.Values.global).redisSecret | default (include "redis.fullname" .) -}}
{{- end -}}

{{/* Whether the bundled server runs. */}}
{{- define "redis.bundled" -}}
{{- $external := .Values.redis.external -}}
{{- if and $external.url $external.existingSecret -}}
{{- fail "redis.external: url and existingSecret are both given; keep one" -}}
{{- end -}}
{{- if and .Values.redis.enabled (not $external.url) (not $external.existingSecret) -}}true{{- end -}}
{{- end -}}

{{/* What never changes while a release lives. */}}
{{- define "redis.selectorLabels" -}}
app.kubernetes.io/name: redis
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: redis
{{- end -}}

{{- define "redis.labels" -}}
app.kubernetes.io/name: redis
app.kubernetes.io/component: redis
{{ include "tierflow.labels" . }}
{{- end -}}
