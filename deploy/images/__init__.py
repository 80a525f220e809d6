"""Builds the container images, on nothing but Python's library and a container tool."""
