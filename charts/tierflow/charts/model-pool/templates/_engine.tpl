{{- define "model-pool.tensorParallelSize" -}}
{{- .Values.engine.tensorParallelSize | default (max 1 (int .Values.gpu.count)) -}}
{{- end -}}

{{- define "model-pool.pipelineParallelSize" -}}
{{- .Values.engine.pipelineParallelSize | default (ternary (int .Values.multiNode.size) 1 (not (empty .Values.multiNode.enabled))) -}}
{{- end -}}

{{/* The arguments for vLLM itself, a JSON list of strings. */}}
{{- define "model-pool.vllmArguments" -}}
{{- $arguments := list -}}
{{- $tensor := include "model-pool.tensorParallelSize" . | int -}}
{{- $pipeline := include "model-pool.pipelineParallelSize" . | int -}}
{{- if gt $tensor 1 -}}
{{- $arguments = concat $arguments (list "--tensor-parallel-size" (toString $tensor)) -}}
{{- end -}}
{{- if gt $pipeline 1 -}}
{{- $arguments = concat $arguments (list "--pipeline-parallel-size" (toString $pipeline)) -}}
{{- end -}}
{{- if .Values.lora.modules -}}
{{- $arguments = concat $arguments (list "--enable-lora" "--max-lora-rank" (toString (int .Values.lora.maxRank)) "--lora-modules") (include "model-pool.loraModules" . | fromJsonArray) -}}
{{- end -}}
{{- $arguments = concat $arguments (list "--shutdown-timeout" (toString (int .Values.engine.shutdownSeconds))) -}}
{{- range .Values.engine.args -}}
{{- $arguments = append $arguments (toString .) -}}
{{- end -}}
{{- toJson $arguments -}}
{{- end -}}

{{- define "model-pool.arguments" -}}
- --model={{ include "model-pool.modelPath" . }}
- --served-model-name={{ include "model-pool.modelName" . }}
- --host=0.0.0.0
- --port=8000
- --dtype={{ .Values.engine.dtype }}
- --max-model-len={{ .Values.engine.maxModelLen | toString }}
{{- with .Values.engine.kvCacheGiB }}
- --kv-cache-gib={{ . }}
{{- end }}
{{- if .Values.drafts.enabled }}
- --draft-mailbox=0.0.0.0:8001
- --draft-tokens-per-step={{ int .Values.drafts.tokensPerStep }}
- --draft-choice={{ .Values.drafts.choice }}
{{- end }}
- --
{{- range include "model-pool.vllmArguments" . | fromJsonArray }}
- {{ . | quote }}
{{- end }}
{{- if .Values.multiNode.enabled }}
- --nnodes=$(LWS_GROUP_SIZE)
- --node-rank=$(LWS_WORKER_INDEX)
- --master-addr=$(LWS_LEADER_ADDRESS)
{{- end }}
{{- end -}}

{{- define "model-pool.environment" -}}
{{- if not (include "model-pool.onGpu" .) }}
# As many threads as the pod has cores. vLLM's own choice would pin every engine of a node to the
# same ones.
- name: VLLM_CPU_OMP_THREADS_BIND
  value: nobind
- name: OMP_NUM_THREADS
  valueFrom:
    resourceFieldRef: {containerName: engine, resource: limits.cpu, divisor: "1"}
{{- end }}
{{- if .Values.drafts.enabled }}
- name: TIERFLOW_DRAFT_SECRET
  valueFrom:
    secretKeyRef:
      name: {{ include "model-pool.draftsSecret" . }}
      key: {{ .Values.drafts.key }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "model-pool.resources" -}}
{{- $gpus := int .Values.gpu.count -}}
{{- $amounts := dict "requests" (dict "cpu" "1" "memory" "3Gi") "limits" (dict "cpu" "2" "memory" "4Gi") -}}
{{- if $gpus -}}
{{- $requests := dict "cpu" (mul 4 $gpus | toString) "memory" (printf "%dGi" (mul 16 $gpus)) -}}
{{- $limits := dict "cpu" (mul 8 $gpus | toString) "memory" (printf "%dGi" (mul 32 $gpus)) -}}
{{- $amounts = dict "requests" $requests "limits" $limits -}}
{{- end -}}
{{- include "tierflow-object.overlay" (list $amounts .Values.resources) -}}
{{- if $gpus -}}
{{- $_ := set $amounts.requests .Values.gpu.resource (toString $gpus) -}}
{{- $_ := set $amounts.limits .Values.gpu.resource (toString $gpus) -}}
{{- end -}}
{{- toYaml $amounts -}}
{{- end -}}
