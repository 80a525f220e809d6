"""A question that several devices, or several samples of a model, answer together."""
