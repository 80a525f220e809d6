"""What devices answer together, against each alone, one strong model sampled, edge and cloud."""
