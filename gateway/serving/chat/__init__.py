"""What the virtual models share of the chat API: one reader of its body, one writer of its reply.

`request` checks every chat body before any work starts, a plain model's as well: a known field with
a bad value gets the same status, `code` and `param` wherever it is sent. What only an engine can
refuse is told in `serving.requests.refusals`.
"""
