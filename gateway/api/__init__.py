"""The web edge: parse, call serving, render.

Sees serving, core, errors and protocol, never adapters.
"""
