{{/* Names and labels that render and that no cluster takes. */}}
{{- define "gateway.validateNames" -}}
{{- $name := include "gateway.fullname" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{- fail (printf "gateway: no Service can be called %s; set global.fullnameOverride, or this part's fullnameOverride, to lower-case letters, digits and hyphens, a letter first" $name) -}}
{{- end -}}
{{- $own := include "gateway.labels" . | fromYaml -}}
{{- $given := dict "global.commonLabels" .Values.global.commonLabels "service.labels" .Values.service.labels "podLabels" .Values.podLabels "serviceMonitor.labels" .Values.serviceMonitor.labels "prometheusRules.labels" .Values.prometheusRules.labels "dashboards.labels" .Values.dashboards.labels -}}
{{- range $value, $labels := $given -}}
{{- range $label, $_ := $labels -}}
{{- if hasKey $own $label -}}
{{- fail (printf "gateway: %s: the chart sets %s itself; take it out" $value $label) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
