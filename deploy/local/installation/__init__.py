"""How an environment is installed: what it needs of the system, the package indexes, the steps.

Runs on the system's Python with nothing but its library.
"""
