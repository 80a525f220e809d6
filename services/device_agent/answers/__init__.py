"""Answers: who gives one, the device alone or a server that verifies, and how it comes about."""
