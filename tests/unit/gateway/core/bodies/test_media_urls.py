"""What an engine may fetch for a caller, and what not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.bodies.media_urls import FIELDS, media_urls, name_in, problem_of

INSIDE = "http://10.0.0.1/x"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x",
        "http://127.1/x",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://0/",
        "http://10.0.0.1:8000/v1/models",
        "http://172.16.0.1",
        "http://192.168.1.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://100.64.0.1/",
        "http://224.0.0.1/",
        "http://[::1]/",
        "http://[fe80::1]/",
        "http://[fe80::1%25eth0]/",
        "http://[fd00::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://localhost/",
        "http://LOCALHOST./",
        "http://a.localhost/",
        "http://metadata.google.internal/",
        "http://gateway/",
        "http://redis.tierflow.svc/",
        "http://redis.tierflow.svc.cluster.local/",
        "http://printer.local/",
        "http://router.lan/",
        "http://example.com@127.0.0.1/",
        "http://127.0.0.1@example.com/",
        "http://example.com\\@127.0.0.1/",
        "http://127.0.0.1\\@example.com/",
        "http:\\\\127.0.0.1/",
        "http:/127.0.0.1/",
        "http:127.0.0.1/",
        "http://127.0.0.1%2f@example.com/",
        "http://%31%32%37.0.0.1/",
        "http://１２７.0.0.1/",
        "http://ⓛocalhost/",
        "http://exa\tmple.com/",
        " http://example.com/",
        "http://example.com:99999/",
        "http://[::1/",
        "http:///x",
        "http://",
        "//example.com/x",
        "example.com/x",
        "file:///etc/passwd",
        "ftp://example.com/x",
        "gopher://example.com/",
        "HTTP://127.0.0.1/",
        "",
    ],
)
def test_an_engine_fetches_nothing_private(url: str) -> None:
    assert problem_of(url, ())


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/picture.png?size=1#x",
        "http://EXAMPLE.com:8080/a b"[:-2],
        "https://a-b.example.co.uk./x",
        "https://93.184.215.14/x",
        "http://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/x",
        "data:image/png;base64,iVBORw0KGgo=",
        "DATA:text/plain,hello",
    ],
)
def test_what_is_public_or_in_the_request_itself_is_fine(url: str) -> None:
    assert problem_of(url, ()) == ""


def test_only_listed_hosts_where_some_are_listed() -> None:
    hosts = ("pictures.lan", ".example.com", "10.0.0.7")
    for allowed in ("http://pictures.lan/x", "https://a.example.com/x", "http://10.0.0.7:90/x"):
        assert problem_of(allowed, hosts) == ""
    for other in ("https://example.com/", "https://aexample.com/", "http://x.pictures.lan/"):
        assert "limits.media_hosts" in problem_of(other, hosts)
    assert problem_of("data:image/png;base64,AA==", hosts) == ""


def test_urls_are_found_where_vllm_reads_them() -> None:
    fields = {
        "messages": [
            {"role": "user", "content": "http://text"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "http://text"},
                    {"type": "image_url", "image_url": {"url": "http://a"}},
                    {"image_url": "http://b"},
                    {"type": "video_url", "video_url": {"url": "http://c"}},
                    {"type": "audio_url", "audio_url": {"url": 7}},
                    "http://text",
                ],
            },
            7,
        ],
        "input": [
            {"role": "user", "content": [{"type": "input_image", "image_url": "http://d"}]},
            {"type": "input_file", "file_url": "http://e"},
        ],
    }
    assert [(found.field, found.url) for found in media_urls(fields)] == [
        ("messages.1.content.1.image_url", "http://a"),
        ("messages.1.content.2.image_url", "http://b"),
        ("messages.1.content.3.video_url", "http://c"),
        ("input.0.content.0.image_url", "http://d"),
        ("input.1.file_url", "http://e"),
    ]


wrappings = st.lists(
    st.sampled_from(["content", "output", "item", "tool_result", "list", "before"]), max_size=30
)


@given(
    field=st.sampled_from(["messages", "input", "previous_input_messages"]),
    name=st.sampled_from(sorted(FIELDS)),
    in_object=st.booleans(),
    wrapping=wrappings,
)
def test_a_url_is_found_wherever_in_a_message_it_stands(
    field: str, name: str, in_object: bool, wrapping: list[str]
) -> None:
    url = "http://169.254.169.254/x"
    part: Any = {"type": "input_image", name: {"url": url} if in_object else url}
    for around in wrapping:
        part = {
            "list": ["text", part],
            "before": [{"type": "text", "text": "x"}, part],
        }.get(around) or {"type": "any", around: part}
    assert [found.url for found in media_urls({field: [part]})] == [url]


def test_what_a_tool_gave_back_is_looked_through() -> None:
    image = {"type": "input_image", "image_url": "http://169.254.169.254/x"}
    outputs = {"input": [{"type": "function_call_output", "call_id": "1", "output": [image]}]}
    results = {"messages": [{"role": "tool", "content": [{"type": "x", "content": [image]}]}]}
    assert [(found.field, found.url) for found in media_urls(outputs)] == [
        ("input.0.output.0.image_url", "http://169.254.169.254/x")
    ]
    assert [found.field for found in media_urls(results)] == [
        "messages.0.content.0.content.0.image_url"
    ]


def test_the_place_of_a_url_does_not_repeat_a_long_name() -> None:
    fields = {"input": [{"n" * 1000: {"image_url": "http://a"}}]}
    (found,) = media_urls(fields)
    assert found.field == f"input.0.{'n' * 32}.image_url"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://a.Example.com:8080/x", "a.example.com"),
        ("https://example.com./x", "example.com"),
        ("https://93.184.215.14/x", ""),
        ("http://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/x", ""),
        ("data:image/png;base64,AA==", ""),
    ],
)
def test_a_name_is_what_has_to_be_looked_up(url: str, name: str) -> None:
    assert name_in(url) == name


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [{"content": [{"type": "image", "source": {"type": "url", "url": INSIDE}}]}]},
        {"system": [{"source": {"type": "url", "url": INSIDE}}]},
        {"query": {"content": [{"type": "image_url", "image_url": {"url": INSIDE}}]}},
        {"documents": [{"content": [{"image_url": INSIDE}]}]},
        {"messages": [[{"role": "user", "content": [{"image_url": INSIDE}]}]]},
        {"data": {"data_format": "url", "data": INSIDE}},
    ],
)
def test_urls_of_other_routes_are_found_as_well(fields: dict[str, Any]) -> None:
    assert [media.url for media in media_urls(fields)] == [INSIDE]
