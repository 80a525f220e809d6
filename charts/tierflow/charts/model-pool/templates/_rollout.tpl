{{- define "model-pool.strategy" -}}
{{- $one := and (include "model-pool.hasDownloads" .) (eq .Values.download.storage "claim") (not (has "ReadWriteMany" .Values.download.claim.accessModes)) -}}
{{- if .Values.strategy -}}
{{- toYaml .Values.strategy -}}
{{- else if or (include "model-pool.onGpu" .) $one -}}
type: RollingUpdate
rollingUpdate: {maxSurge: 0, maxUnavailable: 1}
{{- else -}}
type: RollingUpdate
rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
{{- end -}}
{{- end -}}

{{- define "model-pool.hubPort" -}}
{{- $host := "" -}}
{{- if .Values.download.endpoint -}}
{{- $parts := urlParse .Values.download.endpoint -}}
{{- $host = $parts.host -}}
{{- if regexMatch ":[0-9]+$" $host -}}
{{- regexFind "[0-9]+$" $host -}}
{{- else -}}
{{- ternary "80" "443" (eq $parts.scheme "http") -}}
{{- end -}}
{{- else -}}
443
{{- end -}}
{{- end -}}
