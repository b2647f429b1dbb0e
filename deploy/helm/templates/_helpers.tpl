{{/* The beginning of all names. The longest name below it has 18 characters, and labels have 63 at most. */}}
{{- define "gateway.prefix" -}}
{{ .Values.fullnameOverride | default .Release.Name | replace "." "-" | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* Labels by which objects find the pods of one component: (list $ COMPONENT). */}}
{{- define "gateway.selector" -}}
app.kubernetes.io/name: seedance-gateway
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* Labels by which network policies find all pods of the release. */}}
{{- define "gateway.members" -}}
app.kubernetes.io/part-of: seedance-gateway
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The metadata of an object: (dict "root" $ "name" NAME), and optional "component", "labels", "annotations". */}}
{{- define "gateway.metadata" -}}
{{- $common := .root.Values -}}
name: {{ include "gateway.prefix" .root }}-{{ .name }}
labels:
  app.kubernetes.io/name: seedance-gateway
  {{- include "gateway.members" .root | nindent 2 }}
  app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
  app.kubernetes.io/managed-by: {{ .root.Release.Service }}
  helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
  {{- with .component }}
  app.kubernetes.io/component: {{ . }}
  {{- end }}
  {{- with merge dict (.labels | default dict) $common.commonLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge dict (.annotations | default dict) $common.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The name of a service account: (list $ ACCOUNT NAME). */}}
{{- define "gateway.account" -}}
{{- $account := index . 1 -}}
{{ ternary (printf "%s-%s" (include "gateway.prefix" (index . 0)) (index . 2)) $account.name $account.create }}
{{- end }}

{{/* GATEWAY_PUBLIC_URL without a slash at its end. */}}
{{- define "gateway.publicUrl" -}}
{{ .Values.settings.GATEWAY_PUBLIC_URL | default "https://gateway.example.com" | trimSuffix "/" }}
{{- end }}

{{/* The host of a way in: (list $ WAY). */}}
{{- define "gateway.host" -}}
{{- $url := include "gateway.publicUrl" (index . 0) | urlParse -}}
{{ (index . 1).host | default (regexReplaceAll ":[0-9]+$" $url.host "") }}
{{- end }}

{{/* The path in front of every route, from GATEWAY_PUBLIC_URL; empty as a rule. */}}
{{- define "gateway.path" -}}
{{ get (include "gateway.publicUrl" . | urlParse) "path" }}
{{- end }}

{{/* The routes that callers need. Each other route is internal. */}}
{{- define "gateway.routes" -}}
- {path: /v1, type: Prefix}
- {path: /fal, type: Prefix}
- {path: /openai, type: Prefix}
- {path: /openrouter, type: Prefix}
- {path: /vercel, type: Prefix}
- {path: /.well-known, type: Prefix}
- {path: /docs, type: Prefix}
- {path: /llms.txt, type: Exact}
- {path: /openapi.json, type: Exact}
{{- end }}

{{/* A rule of a NetworkPolicy: TCP to peers. */}}
{{- define "gateway.peers" -}}
- to: {{- toYaml .to | nindent 4 }}
  ports:
    {{- range .ports }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- end }}
