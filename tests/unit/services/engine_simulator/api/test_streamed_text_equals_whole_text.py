import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.services.engine_simulator.asgi_client import ask, chat, simulator

fields = st.fixed_dictionaries(
    {},
    optional={
        "max_tokens": st.integers(1, 40),
        "n": st.integers(1, 3),
        "seed": st.integers(0, 99),
        "stop": st.sampled_from([".", ["the", "River"], " a"]),
        "return_token_ids": st.just(True),
        "ignore_eos": st.booleans(),
    },
)
prompts = st.text(min_size=1, max_size=40)
app = simulator("--unpaced", "--max-model-len", "512")


def joined(events: list[Any], read: Any) -> dict[int, str]:
    texts: dict[int, str] = {}
    for event in events:
        for choice in event["choices"]:
            texts[choice["index"]] = texts.get(choice["index"], "") + read(choice)
    return texts


@given(prompts, fields)
def test_chat(prompt: str, options: dict[str, Any]) -> None:
    body = chat(prompt, **{"max_tokens": 40, **options})
    whole = ask(app, "/v1/chat/completions", body).json()
    stream = ask(app, "/v1/chat/completions", {**body, "stream": True})
    texts = joined(stream.events(), lambda choice: choice["delta"].get("content", ""))
    assert texts == {c["index"]: c["message"]["content"] for c in whole["choices"]}
    ids: dict[int, list[int]] = {}
    for event in stream.events():
        for choice in event["choices"]:
            ids.setdefault(choice["index"], []).extend(choice.get("token_ids") or [])
    assert ids == {c["index"]: c["token_ids"] or [] for c in whole["choices"]}
    assert stream.data.endswith(b"data: [DONE]\n\n")
    assert stream.complete


@given(st.lists(prompts, min_size=1, max_size=3), fields, st.booleans())
def test_completions(several: list[str], options: dict[str, Any], echo: bool) -> None:
    body = {"model": "m", "prompt": several, "echo": echo, **options}
    whole = ask(app, "/v1/completions", body).json()
    stream = ask(app, "/v1/completions", {**body, "stream": True})
    texts = joined(stream.events(), lambda choice: choice["text"])
    assert texts == {choice["index"]: choice["text"] for choice in whole["choices"]}
    assert len(texts) == len(several) * options.get("n", 1)


@given(prompts)
def test_responses(prompt: str) -> None:
    body = {"model": "m", "input": prompt, "max_output_tokens": 20}
    whole = ask(app, "/v1/responses", body).json()
    events = ask(app, "/v1/responses", {**body, "stream": True}).events()
    deltas = [e["delta"] for e in events if e["type"] == "response.output_text.delta"]
    assert "".join(deltas) == whole["output"][0]["content"][0]["text"]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1]["response"]["usage"] == whole["usage"]


def test_a_demanded_tool_call_streams_to_the_same_arguments() -> None:
    parameters = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    }
    tool = {"type": "function", "function": {"name": "forecast", "parameters": parameters}}
    body = chat("weather?", tools=[tool], tool_choice="required")
    whole = ask(app, "/v1/chat/completions", body).json()["choices"][0]
    call = whole["message"]["tool_calls"][0]["function"]
    assert (whole["finish_reason"], call["name"]) == ("tool_calls", "forecast")
    assert set(json.loads(call["arguments"])) == {"city", "days"}
    events = ask(app, "/v1/chat/completions", {**body, "stream": True}).events()
    parts = [c for e in events for c in e["choices"][0]["delta"].get("tool_calls", [])]
    assert parts[0]["function"]["name"] == "forecast"
    assert "".join(part["function"]["arguments"] for part in parts) == call["arguments"]


def test_usage_arrives_in_a_last_chunk_and_on_every_chunk_when_asked() -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    body = chat("hi", max_tokens=3, stream=True, stream_options=options)
    *chunks, last = ask(app, "/v1/chat/completions", body).events()
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 3
    assert [chunk["usage"]["completion_tokens"] for chunk in chunks] == [0, 1, 2, 3]
