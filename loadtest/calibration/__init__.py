"""Calibrates the cascade of a running gateway, and measures what it spares and keeps."""
