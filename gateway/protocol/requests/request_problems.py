"""What can be wrong with a request, in the words that gateway and device agent have for it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NamedTuple

from gateway.protocol import headers
from gateway.protocol.nearest import nearest

MAX_NAME_CHARS = 256
"""Of a model's name, and of a header's value that is a name."""


class RequestProblem(NamedTuple):
    """A fault of a request. `param` names the field or header, and `code` is one of
    docs/errors.md."""

    message: str
    param: str | None
    code: str


NO_OBJECT = RequestProblem("the body must be a JSON object", None, code="invalid_json")


def json_problem(error: json.JSONDecodeError, place: str = "") -> RequestProblem:
    """`place` is where the body stops being JSON, if another text was read than the body."""
    place = place or f"line {error.lineno} column {error.colno}"
    message = f"the body is not valid JSON: {error.msg} at {place}"
    return RequestProblem(message, None, code="invalid_json")


def encoding_problem(encoding: str | None) -> RequestProblem | None:
    """Of a body that is compressed: `encoding` is its Content-Encoding."""
    if not encoding or encoding.strip().lower() == "identity":
        return None
    message = "content-encoding: expected none; bodies are taken uncompressed"
    return RequestProblem(message, "content-encoding", code="encoded_body")


def model_problem(model: object) -> RequestProblem | None:
    """Of the field `model`; None: it may be a model's name."""
    if isinstance(model, str) and model and len(model) <= MAX_NAME_CHARS:
        return None
    message = "model: give the name of a served model as a string; GET /v1/models lists them"
    if model is None:
        return RequestProblem(message, "model", code="missing_model")
    return RequestProblem(message, "model", code="invalid_model")


def header_problem(names: Iterable[str]) -> RequestProblem | None:
    """Of a request whose headers have these names, in lower case: one of Tierflow that there is
    not."""
    for name in names:
        if name.startswith(headers.OURS) and name not in headers.ALL:
            return _unknown_header(name[:MAX_NAME_CHARS])
    return None


def wrong_header(header: str, expected: str) -> RequestProblem:
    """`expected` ends the sentence, such as "milliseconds above 0"."""
    return RequestProblem(f"{header}: expected {expected}", header, code="invalid_header")


def _unknown_header(header: str) -> RequestProblem:
    meant = nearest(header, headers.ALL)
    hint = f"did you mean {meant}?" if meant else f"there are {', '.join(sorted(headers.ALL))}"
    return RequestProblem(
        f"{header}: there is no such header; {hint}", header, code="invalid_header"
    )
