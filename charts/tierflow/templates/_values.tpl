{{/* Stands at the top of every template: null turns a part off, or is answered with a sentence. */}}
{{- define "tierflow.values" -}}
{{- if not (hasKey .Values "-checked") -}}
{{- $_ := set .Values "-checked" true -}}
{{- include "tierflow-object.filled" (list .Values (include "tierflow.shape" . | fromYaml)) -}}
{{- include "tierflow-object.needed" (list "tierflow" .Values (include "tierflow.needed" . | splitList "\n")) -}}
{{- include "tierflow.validate" . -}}
{{- end -}}
{{- end -}}

{{/* The maps and lists of the values, empty. */}}
{{- define "tierflow.shape" -}}
global: {imagePullSecrets: [], commonLabels: {}, commonAnnotations: {}, dns: {}}
pools: {}
redis:
  external: {}
  image: {}
  persistence: {}
  resources: {}
  nodeSelector: {}
  tolerations: []
  affinity: {}
  topologySpreadConstraints: []
  podAnnotations: {}
  podLabels: {}
  podSecurityContext: {}
  securityContext: {}
networkPolicy: {}
extraObjects: []
{{- end -}}

{{/* What there must be, for the parts that are on. */}}
{{- define "tierflow.needed" -}}
{{- if include "redis.bundled" . }}
redis.image.repository
redis.image.tag
redis.maxMemory
{{- if and .Values.redis.persistence.enabled (not .Values.redis.persistence.existing) }}
redis.persistence.size
{{- end }}
{{- end }}
{{- end -}}
