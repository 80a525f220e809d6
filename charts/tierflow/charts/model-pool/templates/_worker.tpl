{{/* The further nodes of a multi-node engine. They have no API, so no probes: when one ends, the
     operator restarts the whole engine. */}}
{{- define "model-pool.workerTemplate" -}}
metadata:
  {{- include "tierflow-object.metadata" (dict "root" . "own" (include "model-pool.podLabels" .) "labels" .Values.podLabels "annotations" .Values.podAnnotations) | nindent 2 }}
spec:
  {{- include "model-pool.podSettings" . | trim | nindent 2 }}
  containers:
    - name: engine
      image: {{ include "model-pool.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      command: [vllm, serve]
      args:
        - {{ include "model-pool.modelPath" . }}
        - --headless
        - --dtype={{ .Values.engine.dtype }}
        {{- if ne (toString .Values.engine.maxModelLen) "auto" }}
        - --max-model-len={{ .Values.engine.maxModelLen | toString }}
        {{- end }}
        {{- range include "model-pool.vllmArguments" . | fromJsonArray }}
        - {{ . | quote }}
        {{- end }}
        - --nnodes=$(LWS_GROUP_SIZE)
        - --node-rank=$(LWS_WORKER_INDEX)
        - --master-addr=$(LWS_LEADER_ADDRESS)
      env:
        {{- include "model-pool.environment" . | trim | nindent 8 }}
      {{- with .Values.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- include "model-pool.containerSettings" . | nindent 6 }}
{{- end -}}
