"""Rows of the Overview, each by itself."""
