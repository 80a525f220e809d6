"""The rill family: one backbone trained once, exported as three ordinary Llama checkpoints, and
specialists that are fine-tuned from them.

``tasks`` draws questions with their answers, ``training`` makes the models, ``export`` writes them
as members, ``evaluation`` measures these and writes the model card; the command line is here.
Everything but ``model``, ``initial_heads`` and those three packages imports without torch, so that
prompts and the scorer can be used anywhere. Imports nothing else of this repository.
"""
