"""Embedders: texts to vectors of unit length."""
