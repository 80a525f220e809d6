"""The rendered chart as real containers: `python -m tests.containers`, `make test-containers`."""
