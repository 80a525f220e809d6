"""The simulated engine: a toy language model, a batch scheduler, metrics and faults."""
