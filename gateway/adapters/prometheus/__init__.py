"""The telemetry ports as Prometheus metrics and log lines: a file for each dashboard row.

Imports core, and reads the figures of `adapters.endpoints`, `adapters.engines` and
`k8s.discovery` when a page of metrics is made.
"""
