"""Embedders: texts to vectors of unit length.

`minilm` runs a model in the gateway's process, on the libraries of the extra `embedding`; `cached`
remembers what any embedder gave. Imports core and errors.
"""
