"""One module for each command: what it takes, its examples, and what it does."""
