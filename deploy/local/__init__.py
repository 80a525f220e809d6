"""Tierflow on one machine: two engines, the gateway, and the environments they run in.

Owns how the parts are installed, started, waited for and stopped here. It starts them as commands
and imports none of them.
"""
