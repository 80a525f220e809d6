"""The rill family: one backbone trained once, exported as three ordinary Llama checkpoints.

Owns the data generator, the tokenizer, training, export and evaluation of the family.
Everything but ``model``, ``muon``, ``batches``, ``checkpoints``, ``training``, ``export``,
``generation`` and ``evaluation`` imports without torch, so that prompts and the scorer can be
used anywhere. Imports nothing else of this repository.
"""
