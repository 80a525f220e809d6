"""A form's short fields are read as any reader would, or it is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.bodies.body import replace_model
from gateway.core.bodies.form_body import (
    MAX_HEAD_BYTES,
    MAX_PARTS,
    MAX_VALUE_BYTES,
    read_form,
)
from gateway.errors import InvalidRequest

TYPE = "multipart/form-data; boundary=here"


def part(head: str, value: bytes = b"") -> bytes:
    return b"--here\r\n" + head.encode() + b"\r\n\r\n" + value + b"\r\n"


def field(name: str, value: bytes) -> bytes:
    return part(f'Content-Disposition: form-data; name="{name}"', value)


def file(value: bytes) -> bytes:
    head = 'Content-Disposition: form-data; name="file"; filename="a \\"b\\".wav"'
    return part(head + "\r\nContent-Type: audio/wav", value)


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--here--\r\n"


@given(
    fields=st.dictionaries(
        st.text("abcdefgh_[]", min_size=1), st.text(st.characters(exclude_categories=["Cs"]))
    ),
    sound=st.binary(max_size=300),
)
def test_fields_are_read_and_files_left_alone(fields: dict[str, str], sound: bytes) -> None:
    if b"--here" in sound or any("--here" in value for value in fields.values()):
        return
    body = form(file(sound), *(field(name, value.encode()) for name, value in fields.items()))
    assert read_form(TYPE, body).fields == fields


@pytest.mark.parametrize("boundary", ['"here"', "here", "here; charset=utf-8"])
def test_a_boundary_may_be_quoted(boundary: str) -> None:
    read = read_form(f"Multipart/Form-Data; boundary={boundary}", form(field("model", b"ear")))
    assert read.fields == {"model": "ear"}


def test_another_name_of_a_model_is_put_where_the_first_one_stands() -> None:
    body = form(field("language", b"en"), field("model", b"tierflow-auto"), file(b'"model": "x"'))
    read = read_form(TYPE, body)
    changed = replace_model(body, "ear", read.model_places, form=True)
    assert changed == body.replace(b"tierflow-auto", b"ear")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", form(field("model", b"ear"))),
        ("multipart/form-data", form(field("model", b"ear"))),
        (TYPE, b""),
        (TYPE, b"--here"),
        (TYPE, field("model", b"ear")),
        (TYPE, form(field("model", b"ear"), field("model", b"eye"))),
        (TYPE, form(part("Content-Type: text/plain", b"x"))),
        (TYPE, form(part('Content-Disposition: form-data; name="a"; name="b"', b"x"))),
        (TYPE, form(part("Content-Disposition: form-data; name*=utf-8''model", b"x"))),
        (TYPE, form(part('Content-Disposition: form-data; name="a" "b"', b"x"))),
        (
            TYPE,
            form(
                part(
                    'Content-Disposition: form-data; name="a"\r\n'
                    'Content-Disposition: form-data; name="model"',
                    b"x",
                )
            ),
        ),
        (TYPE, form(field("model", b"x" * (MAX_VALUE_BYTES + 1)))),
        (TYPE, form(*(field(f"f{count}", b"") for count in range(MAX_PARTS + 1)))),
    ],
)
def test_what_two_readers_could_read_differently_is_refused(kind: str, body: bytes) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_form(kind, body)
    assert refused.value.code == "invalid_form"


@given(st.binary(max_size=400))
def test_no_bytes_break_the_reader(body: bytes) -> None:
    try:
        read_form(TYPE, b"--here\r\n" + body + b"--here--")
    except InvalidRequest as error:
        assert error.code == "invalid_form"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (form(field("model", b"ear")).replace(b"\r\n", b"\n"), "CR LF"),
        (form(field("model", b"ear")).replace(b"--here\r\n", b"--here \r\n"), "nothing behind"),
        (form(part("x: " + "y" * MAX_HEAD_BYTES, b"")), f"{MAX_HEAD_BYTES} bytes"),
        (form(*(field(f"f{count}", b"") for count in range(MAX_PARTS + 1))), f"{MAX_PARTS} parts"),
    ],
    ids=["line feeds", "padding", "headers", "parts"],
)
def test_a_form_is_told_what_is_wrong_with_it(body: bytes, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        read_form(TYPE, body)
