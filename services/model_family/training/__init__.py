"""Training: batches of conversations, the optimizers, the loops of training and fine-tuning."""
