"""The cascade on real vLLM: the text of what was escalated is the top model's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from openai import OpenAI

from services.model_family.dataset import evaluation_set
from tests.engines import AT_ONCE, Engines
from tests.reference_verifier.client import SECRET, Verifier
from tests.servers import Server, eventually, start_gateway

pytestmark = [pytest.mark.integration, pytest.mark.engine("edge", "verifier")]
TOKENS = 96
http = httpx.Client(trust_env=False, timeout=60)
QUESTIONS = [example.prompt for example in evaluation_set(48)]


@dataclass
class Answer:
    text: str = ""
    ids: list[int] = field(default_factory=list)
    reason: str | None = None
    about: dict[str, Any] = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def gateway(
    engines: Engines, racing_engine: Verifier, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    edge = engines.get("edge").server
    with ExitStack() as stack:
        config = {
            "pools": {
                "edge": {"tier": "edge", "endpoints": [edge.url]},
                "cloud": {
                    "tier": "cloud",
                    "endpoints": [racing_engine.url],
                    "mailboxes": [f"127.0.0.1:{racing_engine.mailbox}"],
                    "mailbox_secret": SECRET,
                },
            }
        }
        server = start_gateway(config, tmp_path_factory.mktemp("cascade"))
        stack.callback(server.stop)
        stack.callback(http.close)

        def ready() -> bool:
            found = http.get(server.url + "/ready").json()
            well = all(pool["ready"] for pool in found["pools"].values())
            return well and not found["conditions"]

        eventually(ready, "both pools are ready, and the mailbox is connected")
        yield server


def ask(gateway: Server, model: str, question: str, **fields: Any) -> Answer:
    messages = [{"role": "user", "content": question}]
    body = {"model": model, "messages": messages, "max_tokens": TOKENS, "temperature": 0}
    body |= {"return_token_ids": True, **fields}
    url, answer = gateway.url + "/v1/chat/completions", Answer()
    if not fields.get("stream"):
        found = http.post(url, json=body)
        assert found.status_code == 200, found.text
        choice = found.json()["choices"][0]
        about = (found.json().get("tierflow") or {}).get("cascade") or {}
        return Answer(
            choice["message"]["content"], choice["token_ids"], choice["finish_reason"], about
        )
    with http.stream("POST", url, json=body) as response:
        assert response.status_code == 200, response.read()
        for line in response.iter_lines():
            if line.startswith(":"):
                answer.comments.append(line)
            elif line.startswith("data: {"):
                chunk = json.loads(line[6:])
                assert "error" not in chunk, chunk
                answer.about = (chunk.get("tierflow") or {}).get("cascade") or answer.about
                for choice in chunk["choices"]:
                    answer.text += choice["delta"].get("content") or ""
                    answer.ids += choice.get("token_ids") or []
                    answer.reason = choice["finish_reason"] or answer.reason
    return answer


def ask_all(gateway: Server, model: str, **fields: Any) -> list[Answer]:
    """To each of QUESTIONS, in their order; as many at once as the small model runs."""
    with ThreadPoolExecutor(AT_ONCE["edge"]) as threads:
        return list(
            threads.map(lambda question: ask(gateway, model, question, **fields), QUESTIONS)
        )


def cascade(**options: Any) -> dict[str, Any]:
    return {"tierflow": {"cascade": options}}


NOTHING_PASSES: dict[str, Any] = {"threshold": 2.0}


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_escalated_is_the_top_models_own_answer(gateway: Server, stream: bool) -> None:
    predicted = kept = 0
    options = cascade(**NOTHING_PASSES, stream_mode="exact")
    owns = ask_all(gateway, "rill-cloud")
    answers = ask_all(gateway, "tierflow-cascade", stream=stream, **options)
    for own, answer in zip(owns, answers, strict=True):
        assert (answer.text, answer.ids, answer.reason) == (own.text, own.ids, own.reason)
        assert answer.about["escalated"] and answer.about["prediction"] == "verified"
        predicted += answer.about["predicted_tokens"]
        kept += answer.about["kept_tokens"]
    assert kept > 0.5 * predicted > 0


def test_what_is_accepted_is_the_small_models_own_answer(gateway: Server) -> None:
    for question in QUESTIONS[:12]:
        own = ask(gateway, "rill-edge", question)
        for stream in (False, True):
            answer = ask(
                gateway, "tierflow-cascade", question, stream=stream, **cascade(threshold=0.0)
            )
            assert (answer.text, answer.reason) == (own.text, own.reason)
            assert answer.ids == own.ids
            assert not answer.about["escalated"] and not answer.comments


def test_a_switch_in_the_middle_of_a_stream_loses_and_doubles_nothing(gateway: Server) -> None:
    """What was sent before the switch begins the small answer, and what follows is what the top
    model says after exactly that."""
    switched = 0
    url = gateway.url + "/tokenize"
    options = cascade(threshold=0.97, stream_mode="live", window=1)
    smalls = ask_all(gateway, "rill-edge")
    answers = ask_all(gateway, "tierflow-cascade", stream=True, **options)
    for question, small, answer in zip(QUESTIONS, smalls, answers, strict=True):
        assert len(answer.comments) == answer.about["escalated"]
        if not answer.about["escalated"]:
            assert (answer.text, answer.ids) == (small.text, small.ids)
            continue
        common = 0
        while common < len(small.ids) and small.ids[: common + 1] == answer.ids[: common + 1]:
            common += 1
        messages = [{"role": "user", "content": question}]
        prompt = http.post(
            url, json={"model": "rill-cloud", "messages": messages, "add_generation_prompt": True}
        ).json()["tokens"]
        stream = [stage["tokens"] for stage in answer.about["stages"]]
        sent = len(answer.ids) - stream[1]
        assert 0 <= sent <= common
        if not 0 < sent:
            continue
        switched += 1
        body = {"model": "rill-cloud", "prompt": [*prompt, *answer.ids[:sent]], "temperature": 0}
        body |= {"max_tokens": TOKENS - sent, "return_token_ids": True}
        rest = http.post(gateway.url + "/v1/completions", json=body).json()["choices"][0]
        assert answer.ids[sent:] == rest["token_ids"]
        assert answer.text.endswith(rest["text"])
        assert small.text.startswith(answer.text[: len(answer.text) - len(rest["text"])])
    assert switched > 0


def test_the_openai_package_reads_both_ways(gateway: Server) -> None:
    with OpenAI(base_url=gateway.url + "/v1", api_key="none", max_retries=0) as client:
        question: Any = [{"role": "user", "content": QUESTIONS[0]}]
        extra = cascade(**NOTHING_PASSES)
        whole = client.chat.completions.create(
            model="tierflow-cascade", messages=question, temperature=0, extra_body=extra
        )
        assert whole.usage is not None and whole.model_extra is not None
        assert whole.model_extra["tierflow"]["cascade"]["escalated"] is True
        stream = client.chat.completions.create(
            model="tierflow-cascade",
            messages=question,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
            extra_body=extra,
        )
        chunks = list(stream)
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        assert text == whole.choices[0].message.content
        assert chunks[-1].usage == whole.usage
