"""The web edge: parse, call serving, render. Sees serving, core and protocol, never adapters."""
