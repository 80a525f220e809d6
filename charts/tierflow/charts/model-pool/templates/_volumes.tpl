{{- define "model-pool.volumes" -}}
{{- $source := include "model-pool.source" . }}
- name: tmp
  emptyDir: {sizeLimit: {{ .Values.temporary.sizeLimit }}}
- name: shared-memory
  emptyDir:
    medium: Memory
    sizeLimit: {{ include "model-pool.sharedMemory" . }}
{{- if eq $source "claim" }}
- name: models
  persistentVolumeClaim: {claimName: {{ .Values.model.claim.name }}, readOnly: true}
{{- else if eq $source "image" }}
- name: models
  {{- if eq .Values.model.image.mount "volume" }}
  image:
    reference: {{ .Values.model.image.reference }}
    pullPolicy: {{ .Values.model.image.pullPolicy }}
  {{- else }}
  emptyDir: {sizeLimit: {{ .Values.download.size }}}
  {{- end }}
{{- end }}
{{- if include "model-pool.hasDownloads" . }}
- name: downloads
  {{- if eq .Values.download.storage "claim" }}
  persistentVolumeClaim: {claimName: {{ include "model-pool.claimName" . }}}
  {{- else }}
  emptyDir: {sizeLimit: {{ .Values.download.size }}}
  {{- end }}
- name: download-program
  configMap: {name: {{ include "model-pool.fullname" . }}-download}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "model-pool.volumeMounts" -}}
{{- $source := include "model-pool.source" . -}}
- name: tmp
  mountPath: /tmp
- name: shared-memory
  mountPath: /dev/shm
{{- if has $source (list "claim" "image") }}
- name: models
  mountPath: /models
  readOnly: true
{{- end }}
{{- if include "model-pool.hasDownloads" . }}
- name: downloads
  mountPath: {{ include "model-pool.downloadMount" . }}
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "model-pool.initContainers" -}}
{{- $copied := and (eq (include "model-pool.source" .) "image") (ne .Values.model.image.mount "volume") }}
{{- if or $copied (include "model-pool.hasDownloads" .) .Values.extraInitContainers }}
initContainers:
  {{- if $copied }}
  - name: copy-model
    image: {{ .Values.model.image.reference }}
    imagePullPolicy: {{ .Values.model.image.pullPolicy }}
    command: [cp, -R, {{ printf "%s/." (trimSuffix "/" .Values.model.image.path) | quote }}, /to/model]
    securityContext:
      {{- toYaml .Values.securityContext | nindent 6 }}
    resources:
      {{- toYaml .Values.download.resources | nindent 6 }}
    volumeMounts:
      - name: models
        mountPath: /to
  {{- end }}
  {{- if include "model-pool.hasDownloads" . }}
  - name: download
    image: {{ include "model-pool.image" . }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    command: [python3, /program/download.py, {{ include "model-pool.downloadMount" . }}]
    env:
      - name: TIERFLOW_DOWNLOADS
        value: {{ include "model-pool.downloads" . | quote }}
      - name: TIERFLOW_EXCLUDE
        value: {{ toJson .Values.model.exclude | quote }}
      - name: HF_HOME
        value: /tmp/hub
      # A model is fetched once: pieces kept for another time would only fill /tmp.
      - name: HF_XET_CHUNK_CACHE_SIZE_BYTES
        value: "0"
      - name: HF_HUB_DISABLE_TELEMETRY
        value: "1"
      {{- with .Values.download.endpoint }}
      - name: HF_ENDPOINT
        value: {{ . | quote }}
      {{- end }}
      {{- with .Values.download.tokenSecret.name }}
      - name: HF_TOKEN
        valueFrom:
          secretKeyRef: {name: {{ . }}, key: {{ $.Values.download.tokenSecret.key }}}
      {{- end }}
    securityContext:
      {{- toYaml .Values.securityContext | nindent 6 }}
    resources:
      {{- toYaml .Values.download.resources | nindent 6 }}
    volumeMounts:
      - name: tmp
        mountPath: /tmp
      - name: download-program
        mountPath: /program
        readOnly: true
      - name: downloads
        mountPath: {{ include "model-pool.downloadMount" . }}
  {{- end }}
  {{- with .Values.extraInitContainers }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "model-pool.sharedMemory" -}}
{{- .Values.sharedMemory | default (ternary "8Gi" "512Mi" (eq (include "model-pool.onGpu" .) "true")) -}}
{{- end -}}
