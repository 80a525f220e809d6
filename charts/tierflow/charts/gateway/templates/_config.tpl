{{/* The gateway's settings, YAML. Secrets stay out: they come by the environment. */}}
{{- define "gateway.config" -}}
{{- include "gateway.settings" . | fromJson | toYaml -}}
{{- end -}}

{{/* What restarts the gateway when it changes. Of the number of replicas it says only whether there may be several. */}}
{{- define "gateway.checksum" -}}
{{- $settings := include "gateway.settings" . | fromJson -}}
{{- $_ := set $settings.state "replicas" (gt (int $settings.state.replicas) 1) -}}
{{- list $settings .Values.devices.names | toJson | sha256sum -}}
{{- end -}}

{{/* JSON. */}}
{{- define "gateway.settings" -}}
{{- $config := dict "listen" (dict "host" "0.0.0.0" "port" 8080) "operations" (dict "host" "0.0.0.0" "port" 8081) -}}
{{- if .Values.tls.secretName -}}
{{- $_ := set $config.listen "tls" (include "gateway.listenerTls" . | fromJson) -}}
{{- if .Values.tls.operations -}}
{{- $_ := set $config.operations "tls" (include "gateway.listenerTls" . | fromJson) -}}
{{- end -}}
{{- end -}}
{{- if not .Values.keys.enabled -}}
{{- $_ := set $config "keys" (dict "required" false) -}}
{{- end -}}
{{- if .Values.discovery.enabled -}}
{{- $namespaces := include "gateway.namespaces" . | fromJsonArray -}}
{{- $_ := set $config "discovery" (dict "namespaces" $namespaces "selector" (include "gateway.selector" . | fromJson) "resync_s" .Values.discovery.resyncSeconds) -}}
{{- end -}}
{{- $pools := dict -}}
{{- range $name, $pool := .Values.pools -}}
{{- $_ := set $pools $name (omit $pool "apiKeySecret") -}}
{{- end -}}
{{- if $pools -}}
{{- $_ := set $config "pools" $pools -}}
{{- end -}}
{{- if .Values.family -}}
{{- $_ := set $config "family" .Values.family -}}
{{- end -}}
{{- if .Values.devices.tokens -}}
{{- $_ := set $config "devices" (dict "tokens" .Values.devices.tokens) -}}
{{- end -}}
{{- $life := .Values.lifecycle -}}
{{- $_ := set $config "lifecycle" (dict "notice_s" $life.noticeSeconds "drain_s" $life.drainSeconds) -}}
{{- $_ := set $config "state" (dict "when_lost" .Values.state.whenLost "replicas" (include "gateway.mostReplicas" . | int)) -}}
{{- include "tierflow-object.overlay" (list $config (deepCopy .Values.config)) -}}
{{- toJson $config -}}
{{- end -}}

{{- define "gateway.environment" -}}
{{- $drafts := include "gateway.draftsSecret" . -}}
{{- if and .Values.discovery.enabled $drafts }}
{{ include "gateway.secretVariable" (list "DISCOVERY__MAILBOX_SECRET" $drafts .Values.drafts.key) }}
{{- end }}
{{- with .Values.discovery.apiKey.existingSecret }}
{{ include "gateway.secretVariable" (list "DISCOVERY__API_KEY" . $.Values.discovery.apiKey.key) }}
{{- end }}
{{- range $name, $pool := .Values.pools }}
{{- with $pool.apiKeySecret }}
{{ include "gateway.secretVariable" (list (printf "POOLS__%s__API_KEY" $name) .name (.key | default "api-key")) }}
{{- end }}
{{- if and $pool.mailboxes $drafts }}
{{ include "gateway.secretVariable" (list (printf "POOLS__%s__MAILBOX_SECRET" $name) $drafts $.Values.drafts.key) }}
{{- end }}
{{- end }}
{{- if or .Values.devices.names .Values.devices.existingSecret }}
{{ include "gateway.secretVariable" (list "DEVICES__TOKENS" (include "gateway.devicesSecret" .) "hashes.json") }}
{{- end }}
{{- if .Values.admin.enabled }}
{{ include "gateway.secretVariable" (list "ADMIN__TOKEN" (include "gateway.adminSecret" .) .Values.admin.key) }}
{{- end }}
{{- if .Values.keys.enabled }}
{{ include "gateway.secretVariable" (list "KEYS__STATIC__FIRST__KEY" (include "gateway.keysSecret" .) .Values.keys.key) }}
{{- end }}
{{- with include "gateway.stateSecret" . }}
{{ include "gateway.secretVariable" (list "STATE__REDIS__URL" . $.Values.state.key $.Values.state.optional) }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* list variable secret key, and whether it may be missing */}}
{{- define "gateway.secretVariable" -}}
- name: TIERFLOW_GATEWAY_{{ index . 0 }}
  valueFrom:
    secretKeyRef: {name: {{ index . 1 }}, key: {{ index . 2 }}{{ if eq (len .) 4 }}{{ if last . }}, optional: true{{ end }}{{ end }}}
{{- end -}}

{{/* The labels that pools are selected by, a JSON map: values are templates, null takes a label away. */}}
{{- define "gateway.selector" -}}
{{- $labels := dict -}}
{{- range $label, $value := .Values.discovery.selector -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $_ := set $labels $label (tpl $value $) -}}
{{- end -}}
{{- end -}}
{{- toJson $labels -}}
{{- end -}}
