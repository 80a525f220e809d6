"""The offline half of the cascade: fitting a predictor, its thresholds and its cost curve."""
