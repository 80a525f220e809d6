"""What an engine says in an error, in whatever form it writes errors.

{"error": {"message", "param"}}                  OpenAI, vLLM
{"object": "error", "message", "param"}          older engines
{"error": "…"}, {"message": "…"}                 other servers
{"detail": "…"}, {"detail": [{"loc", "msg"}]}    FastAPI
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

MAX_WORDS_CHARS = 2000
"""Of an engine's words: it may repeat all of a long prompt."""
MAX_DETAILS = 8
_ROOT = "body"


class EngineError(NamedTuple):
    """An engine's words, cut to what a caller reads, "" where there are none; and the request's
    field that it names, if any."""

    words: str = ""
    field: str | None = None


def read_error(body: bytes) -> EngineError:
    """Of an answer that is an error."""
    try:
        read = orjson.loads(body)
    except orjson.JSONDecodeError:
        return EngineError()
    if not isinstance(read, dict):
        return EngineError()
    error = read.get("error")
    if isinstance(error, str):
        return EngineError(error[:MAX_WORDS_CHARS])
    if isinstance(error, dict):
        return _of_object(error)
    if error is None and "detail" in read:
        return _of_detail(read["detail"])
    return _of_object(read) if error is None else EngineError()


def _of_object(error: Mapping[str, Any]) -> EngineError:
    said, param = error.get("message"), error.get("param")
    return EngineError(
        said[:MAX_WORDS_CHARS] if isinstance(said, str) else "",
        # vLLM gives the field's path in its own model.
        param.removeprefix(_ROOT + ".") if isinstance(param, str) else None,
    )


def _of_detail(detail: Any) -> EngineError:
    if isinstance(detail, str):
        return EngineError(detail[:MAX_WORDS_CHARS])
    found = [_of_finding(each) for each in detail[:MAX_DETAILS]] if isinstance(detail, list) else []
    said = [f"{field}: {words}" if field else words for words, field in found if words]
    fields = [field for _, field in found if field]
    return EngineError("; ".join(said)[:MAX_WORDS_CHARS], fields[0] if fields else None)


def _of_finding(finding: Any) -> EngineError:
    """One of the problems that FastAPI finds in a body."""
    if not isinstance(finding, dict):
        return EngineError()
    said, place = finding.get("msg"), finding.get("loc")
    steps = (
        [str(step) for step in place if isinstance(step, str | int)]
        if isinstance(place, list)
        else []
    )
    field = ".".join(steps[1:] if steps[:1] == [_ROOT] else steps)
    return EngineError(said if isinstance(said, str) else "", field or None)
