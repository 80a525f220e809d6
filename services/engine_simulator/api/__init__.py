"""The HTTP API of vLLM: bodies, routes and answers in its field order. It is built on `engine`."""
