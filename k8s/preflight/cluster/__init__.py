"""Reads a cluster through its API server. Everything that can fail on its own becomes Unread."""
