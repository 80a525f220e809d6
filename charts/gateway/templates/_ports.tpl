{{/* The ports of listed endpoints and mailboxes, a JSON list. */}}
{{- define "gateway.staticPorts" -}}
{{- $ports := list -}}
{{- range $name, $pool := .Values.pools -}}
{{- range $pool.endpoints -}}
{{- $parts := urlParse . -}}
{{- $given := regexFind ":[0-9]+$" $parts.host | trimPrefix ":" -}}
{{- $ports = append $ports ($given | default (ternary "443" "80" (eq $parts.scheme "https"))) -}}
{{- end -}}
{{- range $pool.mailboxes -}}
{{- $ports = append $ports (regexFind "[0-9]+$" .) -}}
{{- end -}}
{{- end -}}
{{- $ports | uniq | sortAlpha | toJson -}}
{{- end -}}
