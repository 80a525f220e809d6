"""The page of error codes: those of HTTP answers, of frames to devices, and of members' work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from deploy.reference.markdown import GENERATED, code, linked, paragraphs, table
from gateway.api.device_error_codes import FRAME_ERRORS, SESSION_ERRORS, WORK_ERRORS
from gateway.api.error_codes import HTTP_ERRORS, INTERNAL_ERRORS, ErrorCode
from gateway.api.error_handlers import status_and_type
from gateway.api.operators.conditions import CONDITIONS

OF_HTTP = """\
The body of an error is `{"error": {"message", "type", "param", "code"}}`, as OpenAI's. `message`
says what to do, and `param` names the field or header that is wrong. An answer with status 429 or
503 says in `Retry-After` how many seconds to wait, and one with 502 does so where the engine did. A
stream that has begun ends with one event `data: {"error": …}` of the same shape, at `/v1/responses`
with `response.failed`. An engine's own 4xx for a plain model keeps its status and words, and gets
the code `engine_refused`, unless it has a code in words; one that is no error of this shape is
passed on as it came."""

OF_FRAMES = """\
The gateway tells a device of an error with an `error` frame: docs/speculation.md. An error about a
*frame* changes nothing, and the session that it names goes on. One about a *session* ends that
session alone. One about the *connection* is followed by a close with status 1008 and the code as
its reason.

A session also ends with these codes of the first table: {codes}."""

OF_WORK = """\
Why a member's work failed: docs/device-members.md. These codes are in the reply of a collective and
in `tierflow_device_work_total`."""


OF_CONDITIONS = """\
`GET /ready` names under `conditions` what the gateway goes on without, each with its cause in
words. No condition makes it 503 by itself. `tierflow_condition` is 1 for each."""


def page() -> str:
    session_codes = ", ".join(map(code, SESSION_ERRORS))
    return paragraphs(
        "# Error codes",
        GENERATED,
        "## HTTP",
        OF_HTTP,
        table(("code", "status", "type", "meaning", "what to do"), sorted(_http(), key=_by_status)),
        "## Frames to devices",
        linked(OF_FRAMES.format(codes=session_codes)),
        table(
            ("code", "about", "meaning"),
            ((code(name), entry.about, entry.meaning) for name, entry in FRAME_ERRORS.items()),
        ),
        "## Members' work",
        linked(OF_WORK),
        table(("code", "meaning"), ((code(name), text) for name, text in WORK_ERRORS.items())),
        "## Conditions",
        OF_CONDITIONS,
        table(
            ("condition", "meaning", "what to do"),
            ((code(name), each.meaning, linked(each.remedy)) for name, each in CONDITIONS.items()),
        ),
        "## Logs and metrics",
        "No caller sees these codes. They are in the gateway's logs, in the labels of metrics and "
        "in the conditions of `GET /ready`.",
        table(("code", "meaning"), ((code(name), text) for name, text in INTERNAL_ERRORS.items())),
    )


def _http() -> Iterator[tuple[str, str, str, str, str]]:
    for name, entry in HTTP_ERRORS.items():
        status, kind = _status_and_type(entry)
        yield code(name), str(status), code(kind), linked(entry.meaning), linked(entry.remedy)


def _status_and_type(listed: ErrorCode) -> tuple[int, str]:
    if isinstance(listed.error, int):
        return listed.error, listed.type
    return status_and_type(listed.error)


def _by_status(row: Sequence[str]) -> str:
    return row[1]
