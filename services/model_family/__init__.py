"""The rill family: one backbone trained once, exported as three ordinary Llama checkpoints, and
specialists that are fine-tuned from them.

Owns the data generator, the tokenizer, training, export and evaluation of the family.
Everything but ``model``, ``muon``, ``batches``, ``checkpoints``, ``training``, ``fine_tuning``,
``generation``, and what exports and evaluates imports without torch, so that prompts and the
scorer can be used anywhere. Imports nothing else of this repository.
"""
