{{/* Stands at the top of every template: null turns a part off, or is answered with a sentence. */}}
{{- define "model-pool.values" -}}
{{- if not (hasKey .Values "-checked") -}}
{{- $_ := set .Values "-checked" true -}}
{{- include "tierflow-object.filled" (list .Values (include "model-pool.shape" . | fromYaml)) -}}
{{- if not .Values.library -}}
{{- include "model-pool.validateNeeded" . -}}
{{- include "model-pool.validate" . -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "model-pool.validateNeeded" -}}
{{- include "tierflow-object.needed" (list (printf "pool %s" (include "model-pool.pool" .)) .Values (include "model-pool.needed" . | splitList "\n")) -}}
{{- end -}}

{{/* The maps and lists of the values, empty. Probes are off where they are null. */}}
{{- define "model-pool.shape" -}}
global: {imagePullSecrets: [], commonLabels: {}, commonAnnotations: {}, dns: {}}
image: {}
imagePullSecrets: []
model: {exclude: [], claim: {}, image: {}}
download: {tokenSecret: {}, claim: {accessModes: []}, resources: {}}
gpu: {products: [], productLabels: []}
engine: {args: []}
lora: {modules: []}
multiNode: {}
drafts: {}
resources: {}
temporary: {}
lifecycle: {}
probes: {}
strategy: {}
nodeSelector: {}
tolerations: []
affinity: {}
topologySpreadConstraints: []
dnsConfig: {}
hostAliases: []
podAnnotations: {}
podLabels: {}
extraEnv: []
extraEnvFrom: []
extraContainers: []
extraInitContainers: []
extraVolumes: []
extraVolumeMounts: []
podSecurityContext: {}
securityContext: {}
serviceAccount: {annotations: {}}
service: {annotations: {}, labels: {}, ipFamilies: []}
podDisruptionBudget: {}
keda: {prometheus: {}, behavior: {}}
podMonitor: {labels: {}, relabelings: [], metricRelabelings: []}
networkPolicy: {gateways: [], metricsFrom: [], hub: {to: []}, ingress: [], egress: []}
test: {resources: {}}
extraObjects: []
{{- end -}}

{{/* What there must be, for the parts that are on. */}}
{{- define "model-pool.needed" -}}
temporary.sizeLimit
engine.dtype
engine.maxModelLen
engine.shutdownSeconds
lifecycle.preStopSeconds
lifecycle.terminationGracePeriodSeconds
{{- if .Values.gpu.count }}
gpu.resource
{{- end }}
{{- if .Values.multiNode.enabled }}
multiNode.size
{{- end }}
{{- if .Values.drafts.enabled }}
drafts.key
drafts.tokensPerStep
drafts.choice
{{- end }}
{{- if .Values.lora.modules }}
lora.maxRank
{{- end }}
{{- if (.Values.model.image).reference }}
model.image.path
model.image.mount
download.size
{{- end }}
{{- if include "model-pool.hasDownloads" . }}
download.storage
download.size
{{- if and (eq (toString .Values.download.storage) "claim") (not .Values.download.claim.existing) (not .Values.download.claim.accessModes) }}
download.claim.accessModes
{{- end }}
{{- end }}
{{- if .Values.keda.enabled }}
keda.minReplicas
keda.maxReplicas
keda.target
keda.pollingInterval
keda.cooldownPeriod
keda.trigger
{{- end }}
{{- if .Values.podDisruptionBudget.enabled }}
podDisruptionBudget.maxUnavailable
{{- end }}
{{- if .Values.podMonitor.enabled }}
podMonitor.interval
podMonitor.scrapeTimeout
{{- end }}
{{- if .Values.test.enabled }}
test.timeoutSeconds
{{- end }}
{{- end -}}
