{{/* Whom the default-deny leaves alone, a list of matchExpressions: pods whose own policy is switched
     off, which would otherwise be cut off in place of open. */}}
{{- define "tierflow.exempt" -}}
{{- if and .Values.gateway.enabled (not .Values.gateway.networkPolicy.enabled) }}
- {key: app.kubernetes.io/component, operator: NotIn, values: [gateway, test]}
{{- end }}
{{- $open := list }}
{{- $everywhere := (index .Subcharts "model-pool").Values.networkPolicy }}
{{- range $name, $pool := .Values.pools }}
{{- if and (kindIs "map" $pool) (not (dig "enabled" $everywhere.enabled ($pool.networkPolicy | default dict))) }}
{{- $open = append $open $name }}
{{- end }}
{{- end }}
{{- with $open }}
- {key: tierflow.dev/pool, operator: NotIn, values: {{ toJson . }}}
{{- end }}
{{- end -}}
