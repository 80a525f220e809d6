{{/* Every template takes a chart's root context, or a dictionary with its Values, Release, Chart,
     Files and Capabilities. */}}

{{- define "model-pool.pool" -}}
{{- .Values.pool | default .Release.Name -}}
{{- end -}}

{{- define "model-pool.prefix" -}}
{{- (.Values.global).fullnameOverride | default .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{/* A Service's name has 63 characters at most; the pool's part of it stays whole. */}}
{{- define "model-pool.fullname" -}}
{{- $prefix := include "model-pool.prefix" . -}}
{{- $pool := .Values.pool -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if and $pool (ne $pool $prefix) -}}
{{- printf "%s-%s" (trunc (sub 62 (len $pool) | int) $prefix | trimSuffix "-") $pool -}}
{{- else -}}
{{- $prefix -}}
{{- end -}}
{{- end -}}

{{- define "model-pool.name" -}}
{{- .Values.nameOverride | default "model-pool" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* What never changes while a release lives. */}}
{{- define "model-pool.selectorLabels" -}}
app.kubernetes.io/name: {{ include "model-pool.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: engine
tierflow.dev/pool: {{ include "model-pool.pool" . }}
{{- end -}}

{{/* Without the chart's version: an engine need not restart because a template changed. */}}
{{- define "model-pool.podLabels" -}}
{{ include "model-pool.selectorLabels" . }}
app.kubernetes.io/part-of: tierflow
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "model-pool.labels" -}}
{{ include "model-pool.podLabels" . }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Kubernetes copies these to the Service's EndpointSlices, which the gateway watches. */}}
{{- define "model-pool.serviceLabels" -}}
{{ include "model-pool.labels" . }}
{{ include "model-pool.discoveryLabels" . | trim }}
{{- with .Values.gatewayRelease }}
tierflow.dev/gateway: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* What the gateway finds the pool by. */}}
{{- define "model-pool.discoveryLabels" -}}
{{- with .Values.tier }}
tierflow.dev/tier: {{ . }}
{{- end }}
tierflow.dev/model: {{ include "model-pool.modelLabel" . }}
{{- end -}}

{{- define "model-pool.modelLabel" -}}
{{- $safe := regexReplaceAll "[^A-Za-z0-9_.-]+" (include "model-pool.modelName" .) "-" -}}
{{- regexReplaceAll "^[^A-Za-z0-9]+|[^A-Za-z0-9]+$" (trunc 63 $safe) "" | quote -}}
{{- end -}}

{{- define "model-pool.onGpu" -}}
{{- if gt (int .Values.gpu.count) 0 -}}true{{- end -}}
{{- end -}}

{{- define "model-pool.image" -}}
{{- $own := ternary "tierflow/vllm" "tierflow/vllm-cpu" (eq (include "model-pool.onGpu" .) "true") -}}
{{- include "tierflow-object.image" (dict "root" . "part" (printf "pool %s" (include "model-pool.pool" .)) "image" .Values.image "repository" $own "tag" .Chart.AppVersion) -}}
{{- end -}}

{{- define "model-pool.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "model-pool.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "model-pool.draftsSecret" -}}
{{- .Values.drafts.existingSecret | default (.Values.global).draftsSecret | default (printf "%s-drafts" (include "model-pool.prefix" .)) -}}
{{- end -}}

{{- define "model-pool.testLabels" -}}
app.kubernetes.io/name: {{ include "model-pool.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: test
app.kubernetes.io/part-of: tierflow
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}
