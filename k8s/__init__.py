"""What talks to the Kubernetes API: `discovery` and `preflight`. Imports nothing else of ours."""
