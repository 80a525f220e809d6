{{- define "tierflow.prefix" -}}
{{- (.Values.global).fullnameOverride | default .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{- define "tierflow.labels" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: tierflow
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "tierflow.draftsSecret" -}}
{{- (.Values.global).draftsSecret | default (printf "%s-drafts" (include "tierflow.prefix" .)) -}}
{{- end -}}
