"""The rendered chart as real containers: `python -m tests.containers`, or `make test-containers`."""
