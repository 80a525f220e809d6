"""The `EndpointSource` port: endpoints as they are scraped, listed or discovered.

`live` holds them, `scraper` looks at each, `kubernetes` follows what `k8s.discovery` finds. Imports
core, errors, `adapters.engines`, by which it looks at them, and the snapshots of `k8s.discovery`.
"""
