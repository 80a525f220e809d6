"""Load and benchmarks: `python -m loadtest.bench`, `python -m loadtest.load`, the locustfile.

`measure` holds what every benchmark shares; each benchmark is a package or module beside it, and
imports no other. Of ours outside this folder they import `gateway.protocol` alone: what is measured
is started as a process and spoken to over HTTP, like any deployment.
"""
