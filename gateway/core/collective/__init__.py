"""Several members answer one question: whom to ask, when that is enough, what they agree on."""
