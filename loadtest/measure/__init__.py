"""What every benchmark shares: repetition and spread, processes, clients, tables, plots.

Knows nothing of a particular benchmark.
"""
