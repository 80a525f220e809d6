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

{{/* list name image root: a full image reference. */}}
{{- define "tierflow.image" -}}
{{- $image := index . 0 -}}
{{- $registry := ((index . 1).Values.global).imageRegistry | default $image.registry -}}
{{- $name := ternary (printf "%s/%s" (trimSuffix "/" (toString $registry)) $image.repository) $image.repository (not (empty $registry)) -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (toString $image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "tierflow.draftsSecret" -}}
{{- (.Values.global).draftsSecret | default (printf "%s-drafts" (include "tierflow.prefix" .)) -}}
{{- end -}}
