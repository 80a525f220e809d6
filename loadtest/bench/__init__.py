"""`python -m loadtest.bench`: what the gateway costs, and what the family's sizes are worth."""
