"""The telemetry ports as Prometheus metrics and log lines: a file for each dashboard row."""
