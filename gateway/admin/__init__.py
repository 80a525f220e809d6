"""The operator's command line: `python -m gateway.admin`."""
