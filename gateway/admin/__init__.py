"""The operator's command line: `python -m gateway.admin`.

It speaks to a running gateway over HTTP, and reads the admin token from a file or from its own
environment. Imports nothing else of the gateway.
"""
