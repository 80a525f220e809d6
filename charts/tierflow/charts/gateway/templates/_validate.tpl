{{/* Values that contradict each other stop the render, with a sentence that says what to change. */}}
{{- define "gateway.validate" -}}
{{- include "gateway.validateNames" . -}}
{{- if eq (toString .Values.image.tag) "latest" -}}
{{- fail "gateway: image.tag latest would change under a running release; name a version" -}}
{{- end -}}
{{- $life := .Values.lifecycle -}}
{{- /* The last errors, bytes and log lines take some seconds more. */ -}}
{{- $stop := add (int $life.noticeSeconds) (int $life.drainSeconds) 15 -}}
{{- if lt (int $life.terminationGracePeriodSeconds) (int $stop) -}}
{{- fail (printf "gateway: lifecycle.terminationGracePeriodSeconds (%d) must be noticeSeconds + drainSeconds + 15 (%d) at least, or requests are cut off" (int $life.terminationGracePeriodSeconds) (int $stop)) -}}
{{- end -}}
{{- if and .Values.keda.enabled (eq .Values.keda.trigger "prometheus") (not .Values.keda.prometheus.serverAddress) -}}
{{- fail "gateway: keda.trigger prometheus needs keda.prometheus.serverAddress" -}}
{{- end -}}
{{- range $scaler := list "autoscaling" "keda" -}}
{{- $wanted := index $.Values $scaler -}}
{{- if and $wanted.enabled (gt (int $wanted.minReplicas) (int $wanted.maxReplicas)) -}}
{{- fail (printf "gateway: %s.minReplicas is above %s.maxReplicas" $scaler $scaler) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) -}}
{{- fail "gateway: ingress.enabled needs ingress.hosts, such as [{host: llm.example.org}]" -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- fail "gateway: httpRoute.enabled needs httpRoute.parentRefs, the Gateway to attach to" -}}
{{- end -}}
{{- if and .Values.devices.names (has "hashes.json" .Values.devices.names) -}}
{{- fail "gateway: devices.names: hashes.json is no name for a device" -}}
{{- end -}}
{{- if and .Values.devices.names .Values.devices.existingSecret -}}
{{- fail "gateway: devices.names and devices.existingSecret are both given; put the names into that Secret's hashes.json, or take one out" -}}
{{- end -}}
{{- if and .Values.rbac.create .Values.discovery.enabled (not .Values.serviceAccount.create) (not .Values.serviceAccount.name) -}}
{{- fail "gateway: serviceAccount.create is false, and the Role would go to the namespace's `default`, which other pods have, too; set serviceAccount.name, or rbac.create: false" -}}
{{- end -}}
{{- $targets := or .Values.autoscaling.targetCPUUtilizationPercentage .Values.autoscaling.targetMemoryUtilizationPercentage .Values.autoscaling.metrics -}}
{{- if and .Values.autoscaling.enabled (not .Values.keda.enabled) (not $targets) -}}
{{- fail "gateway: autoscaling.enabled needs a target: autoscaling.targetCPUUtilizationPercentage, targetMemoryUtilizationPercentage or metrics" -}}
{{- end -}}
{{- range $kind := list "ingress" "httpRoute" -}}
{{- if and (index $.Values $kind "enabled") (not (index $.Values $kind "paths")) -}}
{{- fail (printf "gateway: %s.paths: there must be one; leave it out to publish what is for callers and devices" $kind) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled .Values.discovery.enabled (not .Values.networkPolicy.apiServer.ports) -}}
{{- fail "gateway: networkPolicy.apiServer.ports: without one the gateway could reach every port anywhere; list those of the API server, such as [443, 6443]" -}}
{{- end -}}
{{- include "gateway.validateService" . -}}
{{- include "tierflow-object.validateResources" (list "gateway" "resources" .Values.resources) -}}
{{- include "tierflow-object.validateResources" (list "gateway" "test.resources" .Values.test.resources) -}}
{{- include "tierflow-object.validateDisk" (list "gateway" .Values.resources .Values.temporary.sizeLimit) -}}
{{- include "tierflow-object.validateScrape" (list "gateway" "serviceMonitor" .Values.serviceMonitor) -}}
{{- include "gateway.validateTls" . -}}
{{- include "gateway.validatePools" . -}}
{{- include "gateway.validateConfig" . -}}
{{- end -}}

{{/* What the API server refuses of a Service, or a load balancer would never see. */}}
{{- define "gateway.validateService" -}}
{{- $service := .Values.service -}}
{{- if and $service.nodePort (eq $service.type "ClusterIP") -}}
{{- fail "gateway: service.nodePort needs service.type NodePort or LoadBalancer" -}}
{{- end -}}
{{- if and $service.externalTrafficPolicy (eq $service.type "ClusterIP") -}}
{{- fail "gateway: service.externalTrafficPolicy needs service.type NodePort or LoadBalancer" -}}
{{- end -}}
{{- range $name := list "loadBalancerClass" "loadBalancerIP" "loadBalancerSourceRanges" -}}
{{- if and (index $service $name) (ne $service.type "LoadBalancer") -}}
{{- fail (printf "gateway: service.%s needs service.type LoadBalancer" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* `config` is written over what the other values give, and stands in a ConfigMap. */}}
{{- define "gateway.validateConfig" -}}
{{- $config := .Values.config -}}
{{- range $name, $_ := dig "listen" (dict) $config | default dict -}}
{{- if eq $name "tls" -}}
{{- fail "gateway: config.listen.tls: name the certificate's Secret in tls.secretName, which probes, Services and monitors follow, too" -}}
{{- end -}}
{{- if not (hasPrefix "allowed_" $name) -}}
{{- fail (printf "gateway: config.listen.%s: the pod's ports, probes and policies are made for 0.0.0.0:8080; take it out, and set service.port for another port of the Service" $name) -}}
{{- end -}}
{{- end -}}
{{- if hasKey $config "operations" -}}
{{- fail "gateway: config.operations: the pod's ports, monitors and policies are made for 0.0.0.0:8081; take it out (TLS: tls.secretName)" -}}
{{- end -}}
{{- if hasKey $config "lifecycle" -}}
{{- fail "gateway: config.lifecycle: say it under `lifecycle`, which the pod's grace period follows, too" -}}
{{- end -}}
{{- $state := dig "state" (dict) $config | default dict -}}
{{- if or (hasKey $state "when_lost") (hasKey $state "replicas") -}}
{{- fail "gateway: config.state: when_lost is the value state.whenLost, and replicas follows from the replicas; take them out" -}}
{{- end -}}
{{- range $key := list "url" "password" "sentinel_password" -}}
{{- if hasKey ($state.redis | default dict) $key -}}
{{- fail (printf "gateway: config.state.redis.%s: it is secret, and a ConfigMap is not; take it from a Secret, by state.existingSecret or extraEnv" $key) -}}
{{- end -}}
{{- end -}}
{{- $bodies := ($config.limits | default dict).max_bodies_bytes | default 0 | float64 -}}
{{- $limit := (.Values.resources.limits | default dict).memory -}}
{{- if and $limit (ge $bodies (include "tierflow-object.amount" $limit | float64)) -}}
{{- fail (printf "gateway: config.limits.max_bodies_bytes is %.0f, and resources.limits.memory %v leaves no room beside it: the pod would be killed before it refuses a body; lower it, or raise the limit" $bodies $limit) -}}
{{- end -}}
{{- if hasKey $config "pools" -}}
{{- fail "gateway: config.pools: say it under `pools`, whose secrets come from Secrets" -}}
{{- end -}}
{{- if hasKey $config "discovery" -}}
{{- fail "gateway: config.discovery: say it under `discovery`, which the role, the policies and the engines' secrets follow, too" -}}
{{- end -}}
{{- end -}}
