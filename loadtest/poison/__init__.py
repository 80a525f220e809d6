"""`python -m loadtest.poison`: bodies that are made to hurt, what they cost the gateway, and what
the callers beside them notice."""
