{{/* Where the model comes from: hub, claim, image or shipped. */}}
{{- define "model-pool.source" -}}
{{- $model := .Values.model -}}
{{- if $model.hub -}}hub
{{- else if ($model.claim).name -}}claim
{{- else if ($model.image).reference -}}image
{{- else if $model.shipped -}}shipped
{{- end -}}
{{- end -}}

{{- define "model-pool.modelName" -}}
{{- $source := include "model-pool.source" . -}}
{{- if .Values.model.name -}}
{{- .Values.model.name -}}
{{- else if eq $source "hub" -}}
{{- base .Values.model.hub -}}
{{- else if eq $source "shipped" -}}
{{- .Values.model.shipped -}}
{{- end -}}
{{- end -}}

{{/* The folder below /models for one thing from the hub: list id revision. */}}
{{- define "model-pool.hubFolder" -}}
{{- printf "%s--%s" (first . | replace "/" "--") (last . | default "main" | replace "/" "--") -}}
{{- end -}}

{{- define "model-pool.modelPath" -}}
{{- $source := include "model-pool.source" . -}}
{{- $model := .Values.model -}}
{{- if eq $source "hub" -}}
/models/{{ include "model-pool.hubFolder" (list $model.hub $model.revision) }}
{{- else if eq $source "claim" -}}
{{ printf "/models/%s" (trimPrefix "/" $model.claim.path) | trimSuffix "/" }}
{{- else if eq $source "image" -}}
{{ if eq $model.image.mount "volume" }}{{ printf "/models/%s" (trimPrefix "/" $model.image.path) | trimSuffix "/" }}{{ else }}/models/model{{ end }}
{{- else -}}
/opt/tierflow/models/{{ $model.shipped }}
{{- end -}}
{{- end -}}

{{/* What an init container downloads, a JSON list of {id, revision, folder}. */}}
{{- define "model-pool.downloads" -}}
{{- $wanted := list -}}
{{- if eq (include "model-pool.source" .) "hub" -}}
{{- $model := .Values.model -}}
{{- $folder := include "model-pool.hubFolder" (list $model.hub $model.revision) -}}
{{- $wanted = append $wanted (dict "id" $model.hub "revision" ($model.revision | default "main") "folder" $folder) -}}
{{- end -}}
{{- range .Values.lora.modules -}}
{{- if .hub -}}
{{- $folder := include "model-pool.hubFolder" (list .hub .revision) -}}
{{- $wanted = append $wanted (dict "id" .hub "revision" (.revision | default "main") "folder" $folder) -}}
{{- end -}}
{{- end -}}
{{- toJson $wanted -}}
{{- end -}}

{{- define "model-pool.hasDownloads" -}}
{{- if ne (include "model-pool.downloads" .) "[]" -}}true{{- end -}}
{{- end -}}

{{- define "model-pool.claimName" -}}
{{- .Values.download.claim.existing | default (printf "%s-models" (include "model-pool.fullname" .)) -}}
{{- end -}}

{{/* Where downloads go: beside a model that has /models for itself, adapters get their own place. */}}
{{- define "model-pool.downloadMount" -}}
{{- if has (include "model-pool.source" .) (list "claim" "image") -}}/adapters{{- else -}}/models{{- end -}}
{{- end -}}

{{- define "model-pool.loraModules" -}}
{{- $root := . -}}
{{- $modules := list -}}
{{- range .Values.lora.modules -}}
{{- $path := .path -}}
{{- if .hub -}}
{{- $path = printf "%s/%s" (include "model-pool.downloadMount" $root) (include "model-pool.hubFolder" (list .hub .revision)) -}}
{{- end -}}
{{- $modules = append $modules (printf "%s=%s" .name $path) -}}
{{- end -}}
{{- toJson $modules -}}
{{- end -}}
