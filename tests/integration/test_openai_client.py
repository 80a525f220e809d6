"""The official OpenAI client against the gateway, in front of each kind of engine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError, OpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from openai.types.shared_params.response_format_json_schema import JSONSchema

from tests.deployment import Deployment, gateway_config
from tests.integration.gateway_replicas import Replicas, replicas
from tests.redis_server import needs_redis

pytestmark = [
    pytest.mark.integration,
    pytest.mark.parametrize(
        ("deployment", "spread"),
        [
            pytest.param("simulator", 1, id="simulator"),
            pytest.param("simulator", 2, id="two-gateways", marks=[pytest.mark.redis, needs_redis]),
            pytest.param("vllm", 1, id="vllm", marks=pytest.mark.engine("edge", "cloud")),
        ],
        indirect=True,
        scope="session",
    ),
]
# A small model under a JSON grammar likes to write blanks for ever; `frequency_penalty` ends that.
QUESTION: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What is 12 plus 30?"}]
TOOL: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Looks a word up",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"word": {"enum": ["river", "bridge"]}, "exact": {"type": "boolean"}},
            "required": ["word", "exact"],
            "additionalProperties": False,
        },
    },
}


@pytest.fixture(scope="session")
def spread(
    request: pytest.FixtureRequest,
    deployment: Deployment,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Replicas]:
    """The deployment's own gateway, or as many before its engines, on one Redis."""
    if request.param == 1:
        yield Replicas([deployment.gateway])
        return
    config = gateway_config([deployment.edge], [deployment.cloud])
    with replicas(tmp_path_factory.mktemp("spread"), *[config] * request.param) as found:
        yield found


@pytest.fixture
def client(spread: Replicas) -> Iterator[OpenAI]:
    http = spread.openai_client()
    with OpenAI(base_url=spread.v1, api_key="none", max_retries=0, http_client=http) as client:
        yield client


@pytest.fixture
async def async_client(spread: Replicas) -> AsyncIterator[AsyncOpenAI]:
    http, url = spread.async_openai_client(), spread.v1
    async with AsyncOpenAI(base_url=url, api_key="none", max_retries=0, http_client=http) as client:
        yield client


def test_chat(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="rill-edge", messages=QUESTION, max_tokens=16, temperature=0
    )
    assert answer.object == "chat.completion"
    assert answer.model == "rill-edge"
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason in ("stop", "length")
    assert answer.usage is not None
    assert 1 <= answer.usage.completion_tokens <= 16
    total = answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.usage.total_tokens == total


def test_streamed_chat_gives_the_text_of_the_whole_one(client: OpenAI) -> None:
    whole = client.chat.completions.create(
        model="rill-cloud", messages=QUESTION, max_tokens=16, temperature=0
    )
    with client.chat.completions.create(
        model="rill-cloud",
        messages=QUESTION,
        max_tokens=16,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        chunks = list(stream)
    parts = [c.choices[0].delta.content or "" for c in chunks if c.choices]
    assert "".join(parts) == whole.choices[0].message.content
    assert [c.usage for c in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].usage is not None and whole.usage is not None
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert {c.id for c in chunks} == {chunks[0].id}


@pytest.mark.anyio
async def test_many_streams_at_once_keep_apart(async_client: AsyncOpenAI) -> None:
    async def ask(number: int) -> tuple[str, str]:
        messages: list[ChatCompletionMessageParam] = [
            {"role": "user", "content": f"What is {number} plus {number}?"}
        ]
        whole = await async_client.chat.completions.create(
            model="rill-edge", messages=messages, max_tokens=8, seed=1, temperature=0
        )
        stream = await async_client.chat.completions.create(
            model="rill-edge", messages=messages, max_tokens=8, seed=1, temperature=0, stream=True
        )
        async with stream:
            parts = [c.choices[0].delta.content or "" async for c in stream if c.choices]
        return whole.choices[0].message.content or "", "".join(parts)

    for whole, streamed in await asyncio.gather(*map(ask, range(10))):
        assert streamed == whole


def test_completions(client: OpenAI) -> None:
    answer = client.completions.create(
        model="rill-edge", prompt=["One, two,", "Red, green,"], max_tokens=5, temperature=0
    )
    assert [choice.index for choice in answer.choices] == [0, 1]
    with client.completions.create(
        model="rill-edge", prompt="One, two,", max_tokens=5, temperature=0, stream=True
    ) as stream:
        text = "".join(chunk.choices[0].text for chunk in stream if chunk.choices)
    assert text == answer.choices[0].text


def test_completions_echo_and_token_prompts(client: OpenAI) -> None:
    echoed = client.completions.create(
        model="rill-edge", prompt="One, two,", max_tokens=3, temperature=0, echo=True
    )
    assert echoed.choices[0].text.startswith("One, two,")
    given = client.completions.create(
        model="rill-edge", prompt=[30, 31, 32], max_tokens=3, extra_body={"return_token_ids": True}
    )
    dumped = given.choices[0].model_dump()
    assert dumped["prompt_token_ids"] == [30, 31, 32]
    assert len(dumped["token_ids"]) <= 3


def test_several_choices_and_a_seed(client: OpenAI) -> None:
    texts = [
        [
            choice.message.content
            for choice in client.chat.completions.create(
                model="rill-cloud", messages=QUESTION, n=3, seed=7, max_tokens=8, temperature=1
            ).choices
        ]
        for _ in range(2)
    ]
    assert len(texts[0]) == 3
    assert texts[0] == texts[1]


def test_stop_strings_end_the_text(client: OpenAI) -> None:
    free = client.completions.create(
        model="rill-edge", prompt="Hello", max_tokens=12, temperature=0
    )
    text = free.choices[0].text
    stop = text[len(text) // 2 :][:3]
    assert stop
    stopped = client.completions.create(
        model="rill-edge", prompt="Hello", max_tokens=12, temperature=0, stop=[stop]
    )
    assert stopped.choices[0].text == text[: text.index(stop)]
    assert stopped.choices[0].finish_reason == "stop"


def test_logprobs(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="rill-edge",
        messages=QUESTION,
        max_tokens=4,
        temperature=0,
        logprobs=True,
        top_logprobs=3,
    )
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None and logprobs.content is not None and answer.usage is not None
    assert len(logprobs.content) == answer.usage.completion_tokens
    for entry in logprobs.content:
        assert len(entry.top_logprobs) == 3
        assert entry.logprob <= 0


def test_a_demanded_tool_call_arrives_with_arguments_that_fit(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="rill-cloud",
        messages=QUESTION,
        tools=[TOOL],
        tool_choice={"type": "function", "function": {"name": "look_up"}},
        max_tokens=200,
        temperature=0,
        frequency_penalty=2,
    )
    calls = answer.choices[0].message.tool_calls
    assert calls and calls[0].type == "function"
    assert calls[0].function.name == "look_up"
    arguments = json.loads(calls[0].function.arguments)
    assert arguments["word"] in ("river", "bridge")
    assert isinstance(arguments["exact"], bool)


def test_tools_left_to_the_model_are_passed_on(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="rill-cloud", messages=QUESTION, tools=[TOOL], max_tokens=8, temperature=0
    )
    assert answer.choices[0].finish_reason in ("stop", "length", "tool_calls")


def test_a_response_format_is_obeyed(client: OpenAI) -> None:
    verdict: JSONSchema = {"name": "verdict", "schema": {"enum": ["right", "wrong"]}}
    answer = client.chat.completions.create(
        model="rill-cloud",
        messages=QUESTION,
        max_tokens=100,
        temperature=0,
        response_format={"type": "json_schema", "json_schema": verdict},
    )
    assert json.loads(answer.choices[0].message.content or "") in ("right", "wrong")


def test_the_responses_api_whole_and_streamed(client: OpenAI) -> None:
    whole = client.responses.create(
        model="rill-edge", input="What is 12 plus 30?", max_output_tokens=8, temperature=0
    )
    with client.responses.create(
        model="rill-edge",
        input="What is 12 plus 30?",
        max_output_tokens=8,
        temperature=0,
        stream=True,
    ) as stream:
        events = list(stream)
    parts = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(parts) == whole.output_text
    assert events[-1].type == "response.completed"


def test_embeddings_where_the_engine_has_them_and_a_clean_refusal_elsewhere(
    client: OpenAI, deployment: Deployment
) -> None:
    if deployment.kind == "simulator":
        answer = client.embeddings.create(model="rill-edge", input=["one river", "two rivers"])
        assert len(answer.data) == 2
        assert abs(sum(x * x for x in answer.data[0].embedding) - 1) < 1e-5
        return
    with pytest.raises(NotFoundError):
        client.embeddings.create(model="rill-edge", input="one river")


def test_what_an_engine_refuses_reaches_the_caller_in_its_words(
    client: OpenAI, deployment: Deployment
) -> None:
    with pytest.raises(BadRequestError) as through:
        client.chat.completions.create(model="rill-edge", messages=QUESTION, max_tokens=10**6)
    with (
        OpenAI(base_url=deployment.edge.url + "/v1", api_key="none", max_retries=0) as direct,
        pytest.raises(BadRequestError) as straight,
    ):
        direct.chat.completions.create(model="rill-edge", messages=QUESTION, max_tokens=10**6)
    ours, own = (raised.value.response.json()["error"] for raised in (through, straight))
    assert ours == {**own, "code": "engine_refused"}
    assert through.value.response.headers["x-tierflow-tier"] == "edge"
