"""The `StateStore` port: in memory, in Redis, and what happens when Redis is lost."""
