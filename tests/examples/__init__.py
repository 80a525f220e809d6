"""`make test-examples`: what readers copy from README and docs/, played before real engines."""
