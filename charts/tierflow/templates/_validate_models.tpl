{{/* Names of models that are a pool's with a letter wrong. What no pool here serves may be right: a device has
     it, or an engine elsewhere. */}}
{{- define "tierflow.validateModels" -}}
{{- $served := list -}}
{{- range $name, $pool := .Values.pools -}}
{{- if and (kindIs "map" $pool) (dig "enabled" true $pool) -}}
{{- $values := deepCopy (index $.Subcharts "model-pool").Values -}}
{{- include "tierflow.poolValues" (list $ $name $pool $values) -}}
{{- $served = append $served (include "model-pool.modelName" (dict "Values" $values)) -}}
{{- range $values.lora.modules -}}{{- $served = append $served .name -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- $gateway := .Values.gateway -}}
{{- range $gateway.pools -}}{{- $served = concat $served (.models | default list) -}}{{- end -}}
{{- $config := $gateway.config | default dict -}}
{{- range $place, $family := dict "gateway.family" $gateway.family "gateway.config.family" $config.family -}}
{{- $missing := list -}}
{{- range $served -}}{{- if not (has . ($family | default list)) -}}{{- $missing = append $missing . -}}{{- end -}}{{- end -}}
{{- range $family -}}
{{- include "tierflow.validateModelName" (list $place . $served $missing) -}}
{{- end -}}
{{- end -}}
{{- $known := concat $served ($gateway.family | default list) (list "tierflow-auto" "tierflow-edge" "tierflow-cloud") -}}
{{- $collective := $config.collective | default dict -}}
{{- include "tierflow.validateModelName" (list "gateway.config.collective.aggregator" ($collective.aggregator | default "") $known $known) -}}
{{- range $place, $stage := ($config.cascade | default dict).stages -}}
{{- include "tierflow.validateModelName" (list (printf "gateway.config.cascade.stages.%d.model" $place) ($stage.model | default "") $known $known) -}}
{{- end -}}
{{- end -}}

{{/* list place name known meant: stops where `name` is not known and is one of `meant` with a letter wrong. */}}
{{- define "tierflow.validateModelName" -}}
{{- $place := index . 0 -}}
{{- $name := index . 1 -}}
{{- if and $name (not (has $name (index . 2))) -}}
{{- range last . -}}
{{- if include "tierflow.misspelt" (list $name .) -}}
{{- fail (printf "%s: no model is called %s; did you mean %s? If an engine elsewhere serves it, list it in that pool's `models` under gateway.pools" $place $name .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* list name other: true where they differ by one letter that is wrong, missing, too much or swapped with the
     next one. Other numbers make other names, such as qwen-3b beside qwen-7b. */}}
{{- define "tierflow.misspelt" -}}
{{- $name := first . | lower -}}
{{- $other := last . | lower -}}
{{- if and (gt (len $name) 3) (eq (regexReplaceAll "[^0-9]+" $name " " | trim) (regexReplaceAll "[^0-9]+" $other " " | trim)) -}}
{{- $least := min (len $name) (len $other) | int -}}
{{- $before := 0 -}}
{{- range $place := until $least -}}
{{- if and (eq $before $place) (eq (substr $place (int (add1 $place)) $name) (substr $place (int (add1 $place)) $other)) -}}
{{- $before = int (add1 $place) -}}
{{- end -}}
{{- end -}}
{{- $a := substr $before (len $name) $name -}}
{{- $b := substr $before (len $other) $other -}}
{{- $wrong := and $a $b (eq (substr 1 (len $a) $a) (substr 1 (len $b) $b)) -}}
{{- $extra := and $a (eq (substr 1 (len $a) $a) $b) -}}
{{- $lacking := and $b (eq $a (substr 1 (len $b) $b)) -}}
{{- $swapped := and (gt (len $a) 1) (gt (len $b) 1) (eq (substr 0 1 $a) (substr 1 2 $b)) (eq (substr 1 2 $a) (substr 0 1 $b)) (eq (substr 2 (len $a) $a) (substr 2 (len $b) $b)) -}}
{{- if or $wrong $extra $lacking $swapped -}}true{{- end -}}
{{- end -}}
{{- end -}}
