{{- define "gateway.prefix" -}}
{{- (.Values.global).fullnameOverride | default .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{- define "gateway.fullname" -}}
{{- .Values.fullnameOverride | default (printf "%s-gateway" (include "gateway.prefix" .)) | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The Service of the operators' port, which no Ingress, route or load balancer leads to. */}}
{{- define "gateway.operationsName" -}}
{{- printf "%s-operations" (include "gateway.fullname" . | trunc 52 | trimSuffix "-") -}}
{{- end -}}

{{- define "gateway.name" -}}
{{- .Values.nameOverride | default "gateway" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* What never changes while a release lives. */}}
{{- define "gateway.selectorLabels" -}}
app.kubernetes.io/name: {{ include "gateway.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: gateway
{{- end -}}

{{- define "gateway.podLabels" -}}
{{ include "gateway.selectorLabels" . }}
app.kubernetes.io/part-of: tierflow
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "gateway.labels" -}}
{{ include "gateway.podLabels" . }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "gateway.image" -}}
{{- include "tierflow-object.image" (dict "root" . "part" "gateway" "image" .Values.image "repository" "" "tag" .Chart.AppVersion) -}}
{{- end -}}

{{- define "gateway.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "gateway.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "gateway.devicesSecret" -}}
{{- tpl (.Values.devices.existingSecret | default "") . | default (printf "%s-devices" (include "gateway.prefix" .)) -}}
{{- end -}}

{{- define "gateway.adminSecret" -}}
{{- tpl (.Values.admin.existingSecret | default "") . | default (printf "%s-admin" (include "gateway.prefix" .)) -}}
{{- end -}}

{{- define "gateway.keysSecret" -}}
{{- tpl (.Values.keys.existingSecret | default "") . | default (printf "%s-keys" (include "gateway.prefix" .)) -}}
{{- end -}}

{{- define "gateway.draftsSecret" -}}
{{- tpl (.Values.drafts.existingSecret | default "") . -}}
{{- end -}}

{{- define "gateway.stateSecret" -}}
{{- tpl (.Values.state.existingSecret | default "") . -}}
{{- end -}}

{{/* How many replicas may run at once; without `replicas` somebody else scales, so several may. */}}
{{- define "gateway.mostReplicas" -}}
{{- if .Values.keda.enabled -}}{{ .Values.keda.maxReplicas }}
{{- else if .Values.autoscaling.enabled -}}{{ .Values.autoscaling.maxReplicas }}
{{- else if kindIs "invalid" .Values.replicas -}}2
{{- else -}}{{ max 1 (int .Values.replicas) }}
{{- end -}}
{{- end -}}

{{/* The namespaces whose pools are found, a JSON list. */}}
{{- define "gateway.namespaces" -}}
{{- prepend .Values.discovery.namespaces .Release.Namespace | uniq | toJson -}}
{{- end -}}

{{- define "gateway.testLabels" -}}
app.kubernetes.io/name: {{ include "gateway.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: test
app.kubernetes.io/part-of: tierflow
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}
