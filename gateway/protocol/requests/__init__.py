"""Requests as callers send them: the encoding of a body, the fields of a chat completion and what
engines know of them, and what can be wrong with a request. Gateway and device agent read them with
this alone."""
