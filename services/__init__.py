"""What runs beside the gateway: one package and one container each.

They import of the gateway `gateway.protocol` alone, and never each other.
"""
