"""The `StateStore` port: in memory, in Redis, and what happens when Redis is lost.

`memory` and `redis` are the stores; `failover` says what is done while a store on a server is lost,
and `health` notices that it is lost, or back. Imports core and errors, and no other adapter.
"""
