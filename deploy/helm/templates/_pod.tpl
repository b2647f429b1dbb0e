{{/*
The pods of one component: (dict "root" $ "component" NAME "values" VALUES "args" LIST "grace" SECONDS), "fal" true for
those that call fal. No rights, nothing to write to, secrets by reference.
*/}}
{{- define "gateway.pods" -}}
{{- $root := .root }}
{{- $values := $root.Values }}
{{- $pod := mergeOverwrite (deepCopy $values.pod) (deepCopy (.values.pod | default dict)) }}
{{- $isGateway := eq .component "gateway" }}
{{- $readsVideos := .fal }}
{{- $port := ternary "http" "metrics" $isGateway -}}
metadata:
  labels:
    {{- include "gateway.selector" (list $root .component) | nindent 4 }}
    app.kubernetes.io/part-of: seedance-gateway
    {{- with merge dict $pod.labels $values.commonLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations: # pods are rolled when a setting changes
    checksum/settings: {{ include (print $root.Template.BasePath "/settings.yaml") $root | sha256sum }}
    {{- with merge dict $pod.annotations $values.commonAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- if and $values.workloadIdentity.enabled $readsVideos }}
  serviceAccountName: {{ include "gateway.account" (list $root $values.workloadIdentity.serviceAccount "videos") }}
  {{- else }}
  serviceAccountName: {{ include "gateway.account" (list $root $values.serviceAccount "pods") }}
  {{- end }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .grace }}
  {{- with $values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with $pod.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $pod.runtimeClassName }}
  runtimeClassName: {{ . }}
  {{- end }}
  {{- with $pod.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $pod.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $pod.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if $pod.topologySpreadConstraints }}
  topologySpreadConstraints: {{- toYaml $pod.topologySpreadConstraints | nindent 4 }}
  {{- else if ne .component "beat" }}
  topologySpreadConstraints:
    {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - maxSkew: 1
      topologyKey: {{ $key }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {{- include "gateway.selector" (list $root $.component) | nindent 10 }}
    {{- end }}
  {{- end }}
  securityContext: {{- toYaml $values.podSecurityContext | nindent 4 }}
  containers:
    - name: gateway
      image: {{ $values.image.repository }}{{ with $values.image.digest }}@{{ . }}{{ else }}:{{ $values.image.tag | default $root.Chart.AppVersion }}{{ end }}
      {{- with $values.image.pullPolicy }}
      imagePullPolicy: {{ . }}
      {{- end }}
      args: {{ toJson .args }}
      envFrom:
        - configMapRef: {name: {{ include "gateway.prefix" $root }}-settings}
        {{- if and $readsVideos $values.secrets.existingMediaSecret }}
        - secretRef: {name: {{ $values.secrets.existingMediaSecret }}}
        {{- end }}
        {{- with $pod.extraEnvFrom }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      env: {{- include "gateway.environment" . | trim | nindent 8 }}
        {{- with $pod.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        {{- if $isGateway }}
        - {name: http, containerPort: 8080}
        {{- end }}
        - {name: metrics, containerPort: 9100}
      startupProbe:
        httpGet: {path: /healthz, port: {{ $port }}}
        periodSeconds: 2
        failureThreshold: {{ ternary 60 30 (eq .component "beat") }}
      livenessProbe: {httpGet: {path: /healthz, port: {{ $port }}}, periodSeconds: 10, timeoutSeconds: 3, failureThreshold: 3}
      {{- if $isGateway }}
      # Not /readyz: while Redis is unavailable, all gateways would leave the Service together, and callers would get a
      # bare 503 from the ingress instead of the gateway's, which has Retry-After and an error code.
      readinessProbe: {httpGet: {path: /readyz/process, port: http}, periodSeconds: 5, timeoutSeconds: 3, failureThreshold: 2}
      lifecycle: # until every proxy has removed the address of this pod
        preStop: {exec: {command: [sleep, {{ .values.preStopSeconds | quote }}]}}
      {{- else }}
      readinessProbe: {httpGet: {path: /healthz, port: metrics}, periodSeconds: 5, timeoutSeconds: 3}
      {{- end }}
      resources: {{- toYaml .values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        {{- with $pod.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - {name: tmp, emptyDir: {sizeLimit: {{ $values.tmpSizeLimit }}}} # on disk: uploads pass through it
    {{- with $pod.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* Variables from the Secret. Each process has those that it uses. */}}
{{- define "gateway.environment" -}}
{{- $keys := list (list "GATEWAY_REDIS_URL") (list "GATEWAY_BROKER_URL" true) (list "GATEWAY_SECRET_KEY") }}
{{- if .fal }}
{{- $keys = concat $keys (list (list "GATEWAY_FAL_KEY") (list "GATEWAY_FAL_ADMIN_KEY" true) (list "GATEWAY_FAL_PROXY_URL" true) (list "GATEWAY_MEDIA_PROXY_URL" true)) }}
{{- end }}
{{- if eq .component "gateway" }}
{{- $keys = concat $keys (list (list "GATEWAY_ADMIN_TOKEN" true) (list "GATEWAY_OIDC_CLIENT_SECRET" true)) }}
{{- end }}
{{- $secret := .root.Values.secrets.existingSecret }}
{{- range $keys }}
- name: {{ first . }}
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ first . }}{{ if gt (len .) 1 }}, optional: true{{ end }}}}
{{- end }}
{{- if not .fal }}
- {name: GATEWAY_FAL_KEY, value: "none:calls-no-fal"} # the settings require one
{{- end }}
{{- end }}
