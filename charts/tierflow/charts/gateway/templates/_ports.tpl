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

{{/* A rule of egress: the API server, by the ports and addresses that are named, or as the cluster says. */}}
{{- define "gateway.apiServerRule" -}}
{{- $named := .Values.networkPolicy.apiServer -}}
{{- $ports := $named.ports -}}
{{- $cidrs := $named.cidrs -}}
{{- if $named.lookup -}}
{{- $slices := dig "items" list (lookup "discovery.k8s.io/v1" "EndpointSlice" "default" "" | default dict) -}}
{{- $service := lookup "v1" "Service" "default" "kubernetes" | default dict -}}
{{- $foundPorts := list -}}
{{- $addresses := dig "spec" "clusterIPs" list $service -}}
{{- range $slices -}}
{{- if eq (dig "metadata" "labels" "kubernetes.io/service-name" "" .) "kubernetes" -}}
{{- range .ports -}}{{- $foundPorts = append $foundPorts (int .port) -}}{{- end -}}
{{- range .endpoints -}}{{- $addresses = concat $addresses .addresses -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- /* Some networks judge a connection before the Service's address is replaced, others after. */ -}}
{{- range dig "spec" "ports" list $service -}}{{- $foundPorts = append $foundPorts (int .port) -}}{{- end -}}
{{- if and $foundPorts $addresses -}}
{{- $ports = $foundPorts | uniq -}}
{{- $cidrs = list -}}
{{- range $addresses | uniq -}}{{- $cidrs = append $cidrs (printf "%s/%s" . (ternary "128" "32" (contains ":" .))) -}}{{- end -}}
{{- end -}}
{{- end -}}
- ports:
    {{- range $ports }}
    - {protocol: TCP, port: {{ int . }}}
    {{- end }}
  {{- with $cidrs }}
  to:
    {{- range . }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
  {{- end }}
{{- end -}}
