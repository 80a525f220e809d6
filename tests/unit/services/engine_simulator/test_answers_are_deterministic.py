from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.services.engine_simulator.asgi_client import ask, chat, simulator

prompts = st.text(min_size=1, max_size=60)
app, twin = simulator("--unpaced"), simulator("--unpaced")


def completion(prompt: object, **fields: Any) -> Any:
    body = {"model": "m", "prompt": prompt, "return_token_ids": True, **fields}
    return ask(app, "/v1/completions", body).json()["choices"][0]


@given(prompts, st.none() | st.integers(0, 2**31))
def test_two_engines_give_the_same_answer(prompt: str, seed: int | None) -> None:
    body = chat(prompt, seed=seed, max_tokens=30)
    first, second = (ask(engine, "/v1/chat/completions", body) for engine in (app, twin))
    assert first.json()["choices"] == second.json()["choices"]


def test_model_seed_and_choice_each_change_the_answer() -> None:
    other = simulator("--unpaced", "--fault", "models=m,other")
    body = chat("hello", max_tokens=30, n=2)
    plain = ask(app, "/v1/chat/completions", body).json()["choices"]
    seeded = ask(app, "/v1/chat/completions", {**body, "seed": 1}).json()["choices"]
    elsewhere = ask(other, "/v1/chat/completions", {**body, "model": "other"}).json()["choices"]
    texts = {choice["message"]["content"] for choice in plain + seeded + elsewhere}
    assert len(texts) == 6


def test_engines_with_equal_weights_answer_alike_under_any_name() -> None:
    other = simulator("--unpaced", "--weights", "m", "--fault", "models=x")
    body = chat("hello", max_tokens=20, seed=3, prompt_logprobs=1)
    own = ask(app, "/v1/chat/completions", body).json()
    twin = ask(other, "/v1/chat/completions", {**body, "model": "x"}).json()
    assert (twin["model"], own["model"]) == ("x", "m")
    assert (twin["choices"], twin["prompt_logprobs"]) == (own["choices"], own["prompt_logprobs"])


@given(prompts, st.integers(2, 40), st.data())
def test_continuing_from_the_tokens_so_far_gives_the_rest(
    prompt: str, length: int, data: st.DataObject
) -> None:
    whole = completion(prompt, max_tokens=length)
    cut = data.draw(st.integers(1, len(whole["token_ids"])))
    context = whole["prompt_token_ids"] + whole["token_ids"][:cut]
    if cut == len(whole["token_ids"]):
        return
    rest = completion(context, max_tokens=length - cut)
    assert rest["token_ids"] == whole["token_ids"][cut:]
    assert rest["finish_reason"] == whole["finish_reason"]


def test_a_list_of_growing_prompts_verifies_a_draft_in_one_request() -> None:
    answer = completion("verify me", max_tokens=5, ignore_eos=True)
    prompt, draft = answer["prompt_token_ids"], answer["token_ids"][:4]
    grown = [prompt + draft[:count] for count in range(5)]
    body = {"model": "m", "prompt": grown, "max_tokens": 1, "return_token_ids": True}
    checked = ask(app, "/v1/completions", {**body, "ignore_eos": True}).json()["choices"]
    assert [choice["token_ids"][0] for choice in checked] == answer["token_ids"]


def test_the_most_likely_prompt_token_is_the_one_that_is_generated() -> None:
    answer = completion("score me", max_tokens=4, ignore_eos=True)
    scored = completion(
        answer["prompt_token_ids"] + answer["token_ids"],
        max_tokens=1,
        prompt_logprobs=1,
    )
    rows = scored["prompt_logprobs"][-4:]
    ranks = [row[str(token)]["rank"] for row, token in zip(rows, answer["token_ids"], strict=True)]
    assert ranks == [1, 1, 1, 1]
