"""The telemetry ports as Prometheus metrics."""
