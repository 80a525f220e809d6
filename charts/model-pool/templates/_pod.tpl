{{/* The pod of an engine, or of a multi-node engine's leader. */}}
{{- define "model-pool.podTemplate" -}}
metadata:
  labels:
    {{- include "model-pool.podLabels" . | nindent 4 }}
    {{- include "model-pool.discoveryLabels" . | trim | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- include "model-pool.podSettings" . | trim | nindent 2 }}
  containers:
    - name: engine
      image: {{ include "model-pool.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        {{- include "model-pool.arguments" . | nindent 8 }}
      env:
        {{- include "model-pool.environment" . | trim | nindent 8 }}
      ports:
        - {name: http, containerPort: 8000}
        {{- if .Values.drafts.enabled }}
        - {name: drafts, containerPort: 8001}
        {{- end }}
      startupProbe:
        httpGet: {path: /health, port: http}
        {{- toYaml .Values.probes.startup | nindent 8 }}
      readinessProbe:
        httpGet: {path: /health, port: http}
        {{- toYaml .Values.probes.readiness | nindent 8 }}
      livenessProbe:
        httpGet: {path: /health, port: http}
        {{- toYaml .Values.probes.liveness | nindent 8 }}
      lifecycle:
        preStop:
          exec: {command: [sleep, {{ int .Values.lifecycle.preStopSeconds | quote }}]}
      {{- include "model-pool.containerSettings" . | nindent 6 }}
{{- end -}}

{{- define "model-pool.containerSettings" -}}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
resources:
  {{- include "model-pool.resources" . | nindent 2 }}
volumeMounts:
  {{- include "model-pool.volumeMounts" . | nindent 2 }}
{{- end -}}

{{/* What leader and workers of an engine have in common. */}}
{{- define "model-pool.podSettings" -}}
serviceAccountName: {{ include "model-pool.serviceAccountName" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- include "model-pool.imagePullSecrets" . }}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
terminationGracePeriodSeconds: {{ int .Values.lifecycle.terminationGracePeriodSeconds }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- include "model-pool.initContainers" . }}
{{- include "model-pool.placement" . }}
volumes:
  {{- include "model-pool.volumes" . | trim | nindent 2 }}
{{- end -}}

{{- define "model-pool.placement" -}}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $tolerations := .Values.tolerations }}
{{- if include "model-pool.onGpu" . }}
{{- /* Slices of a card (nvidia.com/mig-…) lie on nodes with the taint of whole ones. */}}
{{- $taint := printf "%s/gpu" (splitList "/" .Values.gpu.resource | first) }}
{{- $tolerations = prepend $tolerations (dict "key" $taint "operator" "Exists" "effect" "NoSchedule") }}
{{- end }}
{{- with $tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $affinity := deepCopy .Values.affinity }}
{{- if .Values.gpu.products }}
{{- $terms := list }}
{{- range .Values.gpu.productLabels }}
{{- $terms = append $terms (dict "matchExpressions" (list (dict "key" . "operator" "In" "values" $.Values.gpu.products))) }}
{{- end }}
{{- $_ := set $affinity "nodeAffinity" (dict "requiredDuringSchedulingIgnoredDuringExecution" (dict "nodeSelectorTerms" $terms)) }}
{{- end }}
{{- with $affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  {{- if .Values.topologySpreadConstraints }}
  {{- toYaml .Values.topologySpreadConstraints | nindent 2 }}
  {{- else }}
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "model-pool.selectorLabels" . | nindent 8 }}
  {{- end }}
{{- end -}}
