{{/* The pod of an engine, or of a multi-node engine's leader. */}}
{{- define "model-pool.podTemplate" -}}
metadata:
  {{- $own := printf "%s\n%s" (include "model-pool.podLabels" .) (include "model-pool.discoveryLabels" .) }}
  {{- include "tierflow-object.metadata" (dict "root" . "own" $own "labels" .Values.podLabels "annotations" .Values.podAnnotations) | nindent 2 }}
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
      {{- with .Values.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - {name: http, containerPort: 8000}
        {{- if .Values.drafts.enabled }}
        - {name: drafts, containerPort: 8001}
        {{- end }}
      {{- include "tierflow-object.probe" (list "startupProbe" "" "/health" .Values.probes.startup) | nindent 6 }}
      {{- include "tierflow-object.probe" (list "readinessProbe" "" "/health" .Values.probes.readiness) | nindent 6 }}
      {{- include "tierflow-object.probe" (list "livenessProbe" "" "/health" .Values.probes.liveness) | nindent 6 }}
      lifecycle:
        preStop:
          exec: {command: [sleep, {{ int .Values.lifecycle.preStopSeconds | quote }}]}
      {{- include "model-pool.containerSettings" . | nindent 6 }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
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
{{- include "tierflow-object.imagePullSecrets" . }}
{{- include "tierflow-object.podSettings" .Values }}
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
