{{/* The Secret of the listeners' certificate; empty: they speak plain HTTP. */}}
{{- define "gateway.tlsSecret" -}}
{{- tpl (.Values.tls.secretName | default "") . -}}
{{- end -}}

{{/* http or https: what callers speak. */}}
{{- define "gateway.scheme" -}}
{{- ternary "https" "http" (not (empty .Values.tls.secretName)) -}}
{{- end -}}

{{/* http or https: what operators, Prometheus and KEDA speak. */}}
{{- define "gateway.operationsScheme" -}}
{{- ternary "https" "http" (not (or (empty .Values.tls.secretName) (empty .Values.tls.operations))) -}}
{{- end -}}

{{/* The setting `tls` of a listener. */}}
{{- define "gateway.listenerTls" -}}
{{- toJson (dict "certificate" (printf "/etc/tierflow-tls/%s" .Values.tls.certificate) "key" (printf "/etc/tierflow-tls/%s" .Values.tls.key)) -}}
{{- end -}}

{{/* list root scheme service port: curl's words for that port of the Service, by a port-forward to here. */}}
{{- define "gateway.curl" -}}
{{- $root := index . 0 -}}
{{- $port := last . -}}
{{- if eq (index . 1) "https" -}}
{{- $host := printf "%s.%s.svc" (index . 2) $root.Release.Namespace -}}
curl {{ if $root.Values.tls.ca }}--cacert tierflow-ca.crt {{ end }}--resolve {{ $host }}:{{ $port }}:127.0.0.1 https://{{ $host }}:{{ $port }}
{{- else -}}
curl http://127.0.0.1:{{ $port }}
{{- end -}}
{{- end -}}

{{/* The options by which the admin commands reach the forwarded operators' port. */}}
{{- define "gateway.adminUrl" -}}
--url {{ include "gateway.operationsScheme" . }}://127.0.0.1:8081
{{- if eq (include "gateway.operationsScheme" .) "https" }}
{{- if .Values.tls.ca }} --ca tierflow-ca.crt{{ end }} --server-name {{ include "gateway.operationsName" . }}.{{ .Release.Namespace }}.svc
{{- end -}}
{{- end -}}

{{/* How the authority's certificate gets here. */}}
{{- define "gateway.fetchCa" -}}
{{- if and .Values.tls.secretName .Values.tls.ca -}}
kubectl -n {{ .Release.Namespace }} get secret {{ include "gateway.tlsSecret" . }} -o jsonpath='{.data.{{ .Values.tls.ca | replace "." "\\." }}}' | base64 -d > tierflow-ca.crt
{{- end -}}
{{- end -}}

{{/* Values that TLS contradicts. */}}
{{- define "gateway.validateTls" -}}
{{- $scraped := and .Values.keda.enabled (ne .Values.keda.trigger "prometheus") -}}
{{- if and $scraped (eq (include "gateway.operationsScheme" .) "https") -}}
{{- fail "gateway: keda.trigger metrics-api reads the replicas by plain HTTP; with tls.secretName set keda.trigger to prometheus, or tls.operations to false" -}}
{{- end -}}
{{- end -}}
