"""What the virtual models share of the chat API: one reader of its body, one writer of its reply.

`request` checks every chat body before any work starts, a plain model's as well: the same fault
gets the same status, `code` and `param` wherever it is sent.
"""
