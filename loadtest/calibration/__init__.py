"""`python -m loadtest.calibration`: the traffic by which the cascade's confidence is calibrated.

Asks a running gateway's tiers, has `python -m gateway.calibration` fit a predictor to the answers,
and measures what the cascade keeps of the top tier's accuracy and what it saves of its tokens.
"""
