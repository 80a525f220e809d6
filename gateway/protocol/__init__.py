"""Wire formats: what clients, devices and engines see. Imports nothing of ours."""
