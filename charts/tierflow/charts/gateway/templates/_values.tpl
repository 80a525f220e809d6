{{/* Stands at the top of every template: null turns a part off, or is answered with a sentence. */}}
{{- define "gateway.values" -}}
{{- if not (hasKey .Values "-checked") -}}
{{- $_ := set .Values "-checked" true -}}
{{- include "tierflow-object.filled" (list .Values (include "gateway.shape" . | fromYaml)) -}}
{{- include "tierflow-object.needed" (list "gateway" .Values (include "gateway.needed" . | splitList "\n")) -}}
{{- include "gateway.validate" . -}}
{{- end -}}
{{- end -}}

{{/* The maps and lists of the values, empty. Probes are off where they are null. */}}
{{- define "gateway.shape" -}}
global: {imagePullSecrets: [], commonLabels: {}, commonAnnotations: {}, dns: {}}
image: {}
imagePullSecrets: []
discovery: {namespaces: [], selector: {}, apiKey: {}}
drafts: {}
state: {ports: []}
pools: {}
family: []
devices: {names: [], tokens: {}}
admin: {}
keys: {}
tls: {}
config: {}
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
rbac: {}
service: {annotations: {}, labels: {}, loadBalancerSourceRanges: [], ipFamilies: []}
autoscaling: {behavior: {}, metrics: []}
keda: {prometheus: {}, behavior: {}}
podDisruptionBudget: {}
networkPolicy: {from: [], operationsFrom: [], apiServer: {ports: [], cidrs: []}, ingress: [], egress: []}
ingress: {annotations: {}, hosts: [], paths: [], tls: []}
httpRoute: {annotations: {}, parentRefs: [], hostnames: [], paths: []}
serviceMonitor: {labels: {}, relabelings: [], metricRelabelings: []}
dashboards: {labels: {}, annotations: {}}
prometheusRules: {labels: {}}
test: {resources: {}}
extraObjects: []
{{- end -}}

{{/* What there must be, for the parts that are on. */}}
{{- define "gateway.needed" -}}
image.repository
temporary.sizeLimit
lifecycle.noticeSeconds
lifecycle.drainSeconds
lifecycle.terminationGracePeriodSeconds
service.type
service.port
{{- if .Values.discovery.enabled }}
discovery.resyncSeconds
{{- end }}
{{- if .Values.drafts.existingSecret }}
drafts.key
{{- end }}
{{- if .Values.state.existingSecret }}
state.key
{{- end }}
state.whenLost
{{- if .Values.admin.enabled }}
admin.key
{{- end }}
{{- if .Values.keys.enabled }}
keys.key
keys.plainKey
{{- end }}
{{- if .Values.tls.secretName }}
tls.certificate
tls.key
{{- end }}
{{- if .Values.keda.enabled }}
keda.minReplicas
keda.maxReplicas
keda.targetInFlight
keda.targetQueued
keda.pollingInterval
keda.cooldownPeriod
keda.trigger
{{- else if .Values.autoscaling.enabled }}
autoscaling.minReplicas
autoscaling.maxReplicas
{{- end }}
{{- if .Values.podDisruptionBudget.enabled }}
podDisruptionBudget.maxUnavailable
{{- end }}
{{- if .Values.serviceMonitor.enabled }}
serviceMonitor.interval
serviceMonitor.scrapeTimeout
{{- end }}
{{- if .Values.test.enabled }}
test.model
test.timeoutSeconds
{{- end }}
{{- end -}}
