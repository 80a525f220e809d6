"""Devices that offer themselves as members of a collective."""
