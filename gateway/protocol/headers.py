"""The HTTP headers that are Tierflow's own."""

MAX_TIER = "x-tierflow-max-tier"
MIN_QUALITY = "x-tierflow-min-quality"
DEADLINE_MS = "x-tierflow-deadline-ms"
SESSION = "x-tierflow-session"
CASCADE_QUALITY = "x-tierflow-cascade-quality"
IDEMPOTENCY_KEY = "idempotency-key"
AUTHORIZATION = "authorization"

TIER = "x-tierflow-tier"
ENDPOINT = "x-tierflow-endpoint"
REASON = "x-tierflow-reason"
REQUEST_ID = "x-request-id"
