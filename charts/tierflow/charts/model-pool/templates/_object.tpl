{{/* What every object and pod of these charts has in common. The same file stands in both charts. */}}

{{/* dict root own labels annotations: an object's labels and annotations. `own` is YAML of the labels that
     the chart sets, which win; those of all objects are global.commonLabels and commonAnnotations. */}}
{{- define "tierflow-object.metadata" -}}
{{- $global := .root.Values.global | default dict -}}
{{- $labels := include "tierflow-object.layers" (list $global.commonLabels .labels (fromYaml .own)) -}}
labels:
  {{- $labels | nindent 2 }}
{{- $annotations := include "tierflow-object.layers" (list $global.commonAnnotations .annotations .ownAnnotations) -}}
{{- if ne $annotations "{}" }}
annotations:
  {{- $annotations | nindent 2 }}
{{- end }}
{{- end -}}

{{/* A list of maps of texts, or nothing: one map, later ones over earlier ones, as YAML; null takes an entry away. */}}
{{- define "tierflow-object.layers" -}}
{{- $merged := dict -}}
{{- range $layer := . -}}
{{- range $key, $value := $layer -}}
{{- if kindIs "invalid" $value -}}
{{- $_ := unset $merged $key -}}
{{- else -}}
{{- $_ := set $merged $key (toString $value) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $merged -}}
{{- end -}}

{{/* list values shape: gives `values` the maps and lists of `shape` where null took them away: what is
     empty is off. */}}
{{- define "tierflow-object.filled" -}}
{{- $values := first . -}}
{{- range $key, $empty := last . -}}
{{- $there := index $values $key -}}
{{- if kindIs "invalid" $there -}}
{{- $_ := set $values $key (deepCopy $empty) -}}
{{- else if and (kindIs "map" $there) (kindIs "map" $empty) -}}
{{- include "tierflow-object.filled" (list $there $empty) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* list part values paths: stops where a value that nothing can do without was taken away by null. */}}
{{- define "tierflow-object.needed" -}}
{{- $part := first . -}}
{{- $values := index . 1 -}}
{{- range $path := last . -}}
{{- $place := $values -}}
{{- range splitList "." $path -}}
{{- if kindIs "map" $place -}}
{{- $place = index $place . -}}
{{- end -}}
{{- end -}}
{{- if and $path (or (kindIs "invalid" $place) (kindIs "map" $place) (has (toString $place) (list "" "[]"))) -}}
{{- fail (printf "%s: %s: there must be one, and null takes it away; leave it out to have the default" $part $path) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* list base over: writes `over` into `base`, maps into maps; null takes a key away. Sprig's own
     merge would keep a default where the override is false, 0 or empty. */}}
{{- define "tierflow-object.overlay" -}}
{{- $base := first . -}}
{{- range $key, $value := last . -}}
{{- $there := index $base $key -}}
{{- if kindIs "invalid" $value -}}
{{- $_ := unset $base $key -}}
{{- else if and (kindIs "map" $value) (kindIs "map" $there) -}}
{{- include "tierflow-object.overlay" (list $there $value) -}}
{{- else -}}
{{- $_ := set $base $key $value -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* dict root part image repository tag: a full image reference; the last two stand in where `image` has none. */}}
{{- define "tierflow-object.image" -}}
{{- $global := .root.Values.global | default dict -}}
{{- $registry := $global.imageRegistry | default .image.registry | default "" | toString -}}
{{- $repository := .image.repository | default .repository | default "" | toString -}}
{{- range $name, $given := dict "global.imageRegistry" $global.imageRegistry "image.registry" .image.registry "image.repository" .image.repository -}}
{{- if regexMatch "://|\\s" (toString $given) -}}
{{- fail (printf "%s: %s is %q; images have a host and a path alone, such as registry.example.org/team" $.part $name $given) -}}
{{- end -}}
{{- end -}}
{{- if not $repository -}}
{{- fail (printf "%s: image.repository: there must be one, and null takes it away; leave it out to have the default" .part) -}}
{{- end -}}
{{- $name := ternary (printf "%s/%s" (trimSuffix "/" $registry) $repository) $repository (ne $registry "") -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (toString (.image.tag | default .tag)) -}}
{{- end -}}
{{- end -}}

{{- define "tierflow-object.imagePullSecrets" -}}
{{- with concat ((.Values.global).imagePullSecrets | default list) (.Values.imagePullSecrets | default list) | uniq }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* list name scheme path probe: a probe by HTTP, or none where it is empty or null. */}}
{{- define "tierflow-object.probe" -}}
{{- with last . }}
{{ index $ 0 }}:
  httpGet: {path: {{ index $ 2 }}, port: http{{ with index $ 1 }}, scheme: {{ . }}{{ end }}}
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* values: what pods take as it is given. */}}
{{- define "tierflow-object.podSettings" -}}
{{- range $name := list "runtimeClassName" "priorityClassName" "schedulerName" "dnsPolicy" }}
{{- with index $ $name }}
{{ $name }}: {{ . }}
{{- end }}
{{- end }}
{{- range $name := list "dnsConfig" "hostAliases" }}
{{- with index $ $name }}
{{ $name }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* dict root apiVersion kind name wanted scaled: the line `replicas: …` of a workload, or nothing where
     something else says how many there are. Who leaves a field out that Helm has set before has it set back
     to 1. So the number that is there is written again, where the cluster can be asked, until
     somebody else holds the field; with client-side apply nobody can tell, and it always is. */}}
{{- define "tierflow-object.replicas" -}}
{{- if and (not .scaled) (not (kindIs "invalid" .wanted)) -}}
replicas: {{ int .wanted }}
{{- else -}}
{{- $live := lookup .apiVersion .kind .root.Release.Namespace .name | default dict -}}
{{- $applied := false -}}
{{- $held := false -}}
{{- $others := false -}}
{{- range dig "metadata" "managedFields" list $live -}}
{{- $owns := hasKey (dig "fieldsV1" "f:spec" dict .) "f:replicas" -}}
{{- if and (eq (toString .operation) "Apply") (hasPrefix "helm" (toString .manager)) -}}
{{- $applied = true -}}
{{- $held = $owns -}}
{{- else if $owns -}}
{{- $others = true -}}
{{- end -}}
{{- end -}}
{{- if and $live (or (not $applied) (and $held (not $others))) -}}
replicas: {{ dig "spec" "replicas" 1 $live | int }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* list root part name remedy there: stops a rendering that would make up a Secret that another rendering
     makes up anew. `there` is what the cluster has. It can be asked where Helm itself found its kinds: this one
     no tool hands on, as it is not for lists and watches. */}}
{{- define "tierflow-object.mayMake" -}}
{{- $root := index . 0 -}}
{{- $asked := $root.Capabilities.APIVersions.Has "authorization.k8s.io/v1/SelfSubjectAccessReview" -}}
{{- if not (or (last .) $asked ($root.Values.global).throwawaySecrets) -}}
{{- fail (printf "%s: the Secret %s would have another content with each rendering, as the cluster can't be asked here for the one that is there; name one of your own in %s, or set global.throwawaySecrets: true for a rendering that is applied once" (index . 1) (index . 2) (index . 3)) -}}
{{- end -}}
{{- end -}}

{{/* A quantity of Kubernetes, such as 500m, 2 or 1.5Gi, as a number. */}}
{{- define "tierflow-object.amount" -}}
{{- $text := toString . -}}
{{- $unit := regexFind "([munkMGTPE]|[KMGTPE]i)$" $text -}}
{{- $number := trimSuffix $unit $text | float64 -}}
{{- $factors := dict "" 1 "m" 0.001 "u" 0.000001 "n" 0.000000001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 "Ei" 1152921504606846976 -}}
{{- mulf $number (get $factors $unit | float64) -}}
{{- end -}}

{{/* list part path resources: no request is above its limit, which no cluster takes. */}}
{{- define "tierflow-object.validateResources" -}}
{{- $part := index . 0 -}}
{{- $path := index . 1 -}}
{{- $limits := (last .).limits | default dict -}}
{{- range $name, $request := (last .).requests -}}
{{- $limit := get $limits $name -}}
{{- if and $limit $request (gt (include "tierflow-object.amount" $request | float64) (include "tierflow-object.amount" $limit | float64)) -}}
{{- fail (printf "%s: %s.requests.%s is %v, above its limit of %v; lower it, or raise %s.limits.%s" $part $path $name $request $limit $path $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* list part resources sizeLimit…: a limit of the pod's disk that its own volumes may pass would end it. */}}
{{- define "tierflow-object.validateDisk" -}}
{{- $limit := dig "limits" "ephemeral-storage" "" (index . 1) -}}
{{- $sum := 0.0 -}}
{{- range slice . 2 -}}
{{- $sum = addf $sum (include "tierflow-object.amount" . | float64) -}}
{{- end -}}
{{- if and $limit (gt $sum (include "tierflow-object.amount" $limit | float64)) -}}
{{- fail (printf "%s: resources.limits.ephemeral-storage is %v, and the pod's volumes may hold %s; raise it, so that a pod is not put out for what it may write" (first .) $limit (slice . 2 | join " and ")) -}}
{{- end -}}
{{- end -}}

{{/* list part path monitor: Prometheus takes no scrape that may last longer than its interval. */}}
{{- define "tierflow-object.validateScrape" -}}
{{- $seconds := list -}}
{{- range list (last .).scrapeTimeout (last .).interval -}}
{{- $text := toString . -}}
{{- $unit := regexFind "(ms|s|m)$" $text -}}
{{- $seconds = append $seconds (mulf (trimSuffix $unit $text | float64) (get (dict "ms" 0.001 "s" 1.0 "m" 60.0 "" 1.0) $unit)) -}}
{{- end -}}
{{- if and (last .).enabled (last .).interval (gt (first $seconds) (last $seconds)) -}}
{{- fail (printf "%s: %s.scrapeTimeout %s is longer than its interval %s, which Prometheus refuses; shorten it" (index . 0) (index . 1) (last .).scrapeTimeout (last .).interval) -}}
{{- end -}}
{{- end -}}

{{/* A rule of a NetworkPolicy's egress: names may be asked for. */}}
{{- define "tierflow-object.dnsRule" -}}
{{- $dns := (.Values.global).dns | default dict -}}
- ports:
    {{- range $dns.ports | default (list 53) }}
    - {protocol: UDP, port: {{ int . }}}
    - {protocol: TCP, port: {{ int . }}}
    {{- end }}
  {{- with $dns.to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
