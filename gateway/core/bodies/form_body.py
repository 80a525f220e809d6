"""A body of multipart/form-data (RFC 7578), as far as routing needs it: the short fields, and where
the model's name stands. What the engine gets is the caller's own bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.errors import InvalidRequest

MAX_PARTS = 64
MAX_HEAD_BYTES = 4096
"""Of one part's headers."""
MAX_VALUE_BYTES = 64 * 1024
"""A longer field is refused; files may be of any length."""

_TYPE = re.compile(r"multipart/form-data\s*;(?P<parameters>.*)", re.IGNORECASE | re.DOTALL)
_BOUNDARY = re.compile(r'\s*boundary=(?:"([^"]{1,70})"|([^\s;",]{1,70}))\s*(?:;|$)', re.IGNORECASE)
_DISPOSITION = re.compile(rb"(?i:content-disposition)[ \t]*:[ \t]*(?i:form-data)[ \t]*(;[^\r\n]*)")
_PARAMETER = re.compile(rb';[ \t]*([a-z*]+)=("(?:[^"\\\r\n]|\\.)*"|[^\s;"]+)[ \t]*', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FormBody:
    """The fields of a form that are no files, and where the values of `model` begin and end."""

    fields: dict[str, str]
    model_places: tuple[tuple[int, int], ...]


def read_form(content_type: str, body: bytes) -> FormBody:
    """Raises InvalidRequest. A field stands once: one reader would take the first, and another the
    last."""
    delimiter = b"--" + _boundary(content_type)
    fields: dict[str, str] = {}
    places: list[tuple[int, int]] = []
    at, parts = body.find(delimiter), 0
    while at >= 0:
        at += len(delimiter)
        if body.startswith(b"--", at):
            return FormBody(fields, tuple(places))
        parts += 1
        if not body.startswith(b"\r\n", at):
            raise _wrong("each boundary's line is to end with CR LF, and to have nothing behind it")
        if parts > MAX_PARTS:
            raise _wrong(f"it may have {MAX_PARTS} parts")
        head_end = body.find(b"\r\n\r\n", at, at + MAX_HEAD_BYTES)
        if head_end < 0:
            raise _wrong(
                f"a part's headers may have {MAX_HEAD_BYTES} bytes, in lines that end with CR LF, "
                "and an empty line behind them"
            )
        begin = head_end + 4
        # An empty value's end may be that of its headers.
        end = body.find(b"\r\n" + delimiter, head_end + 2)
        if end < 0:
            break
        name, is_file = _name(body[at + 2 : begin])
        if not is_file:
            fields[_new(name, fields)] = _value(name, body[begin : max(begin, end)])
            if name == "model":
                places.append((begin, end))
        at = end + 2
    raise _wrong("the last boundary is missing")


def _boundary(content_type: str) -> bytes:
    form = _TYPE.match(content_type)
    found = _BOUNDARY.search(form["parameters"]) if form is not None else None
    if found is None:
        raise InvalidRequest(
            "content-type: expected multipart/form-data with a boundary",
            param="content-type",
            code="invalid_form",
        )
    return (found[1] or found[2]).encode("latin-1", "replace")


def _name(head: bytes) -> tuple[str, bool]:
    """A part's name, and whether it is a file."""
    found = _DISPOSITION.findall(head)
    if len(found) != 1 or head.lower().count(b"content-disposition") != 1:
        raise _wrong('each part needs one header Content-Disposition: form-data; name="…"')
    parameters = _PARAMETER.findall(found[0])
    names = [value.strip(b'"') for name, value in parameters if name.lower() == b"name"]
    if len(names) != 1 or b"".join(_PARAMETER.split(found[0])[::3]).strip():
        raise _wrong("a part's Content-Disposition can't be read")
    is_file = any(name.lower().startswith(b"filename") for name, _ in parameters)
    return names[0].decode("utf-8", "replace"), is_file


def _new(name: str, fields: dict[str, str]) -> str:
    """The name of a list's items ends with brackets, and stands as often as there are items."""
    if name in fields and not name.endswith("[]"):
        raise InvalidRequest(
            f"{name[:64]}: the form has it more than once", param=name[:64], code="invalid_form"
        )
    return name


def _value(name: str, value: bytes) -> str:
    if len(value) > MAX_VALUE_BYTES:
        raise InvalidRequest(
            f"{name[:64]}: a field may have {MAX_VALUE_BYTES} bytes; only files may be longer",
            param=name[:64],
            code="invalid_form",
        )
    return value.decode("utf-8", "replace")


def _wrong(problem: str) -> InvalidRequest:
    return InvalidRequest(f"the body is not a form: {problem}", code="invalid_form")
