{{/* Arguments of the engine that move what the pod around it was made for: its address, its names, its groups.
     A flag may be written with _ for -, and with its value after =. */}}
{{- define "model-pool.validateArguments" -}}
{{- $pool := include "model-pool.pool" . -}}
{{- $ports := "the pod's probes, Service and policies are made for 0.0.0.0:8000; take it out" -}}
{{- $plain := "probes, policies and the gateway reach the engine by plain HTTP; take it out, and keep TLS to the mesh" -}}
{{- $own := dict "--host" $ports "--port" $ports "--uds" $ports "--headless" $ports -}}
{{- range $flag := list "--ssl-keyfile" "--ssl-certfile" "--ssl-ca-certs" "--ssl-cert-reqs" -}}
{{- $_ := set $own $flag $plain -}}
{{- end -}}
{{- range $flag := list "--draft-mailbox" "--draft-tokens-per-step" "--draft-choice" -}}
{{- $_ := set $own $flag "say it under `drafts`, which the Service and the policies follow, too" -}}
{{- end -}}
{{- $_ := set $own "--served-model-name" "say it in model.name, which the Service's labels and the gateway follow, too" -}}
{{- $_ = set $own "--model" "say it under `model`, which names and downloads follow, too" -}}
{{- $_ = set $own "--dtype" "say it in engine.dtype" -}}
{{- $_ = set $own "--max-model-len" "say it in engine.maxModelLen" -}}
{{- $_ = set $own "--kv-cache-gib" "say it in engine.kvCacheGiB, which is held against the memory's limit" -}}
{{- $_ = set $own "--shutdown-timeout" "say it in engine.shutdownSeconds, which the pod's grace period is held against" -}}
{{- $_ = set $own "--api-key" "it is secret, and a pod's arguments are not; give it as VLLM_API_KEY from a Secret in extraEnv, and to the gateway in gateway.discovery.apiKey" -}}
{{- range $flag := list "--tensor-parallel-size" "-tp" -}}
{{- $_ := set $own $flag "say it in engine.tensorParallelSize, which is held against the GPUs" -}}
{{- end -}}
{{- range $flag := list "--pipeline-parallel-size" "-pp" -}}
{{- $_ := set $own $flag "say it in engine.pipelineParallelSize, which is held against the GPUs" -}}
{{- end -}}
{{- range $flag := list "--nnodes" "--node-rank" "--master-addr" -}}
{{- $_ := set $own $flag "say it under `multiNode`, which makes the other nodes' pods, too" -}}
{{- end -}}
{{- range .Values.engine.args -}}
{{- $flag := toString . | splitList "=" | first | replace "_" "-" -}}
{{- with get $own $flag -}}
{{- fail (printf "pool %s: engine.args: %s: %s" $pool $flag .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
