"""The offline half of the cascade: fitting a predictor, its thresholds and its cost curve.

`python -m gateway.calibration` reads logged outcomes and writes a predictor. Imports
`core.cascade` alone.
"""
