"""The `StateStore` port: in memory, in Redis, and what happens when Redis is lost.

`memory` and `redis` are the stores; `failover` puts one in the other's place by the configured
rule, and `health` watches for it. Imports core and errors, and no other adapter.
"""
