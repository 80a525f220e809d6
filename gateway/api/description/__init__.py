"""The OpenAPI description: every route with its parameters, bodies, headers, statuses and errors.

What the gateway checks itself is described by the types that it is read into, and errors by the
table of error codes, so that neither can say anything else than what is done.
"""
