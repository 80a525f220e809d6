"""Evaluation: answers of exported members, their figures, and the model card made from them."""
