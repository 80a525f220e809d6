import asyncio
from collections.abc import Awaitable, Callable

import pytest

from services.engine_simulator.api.app import SimulatorApp
from tests.unit.services.engine_simulator.asgi_client import Call, chat, post, series, simulator

pytestmark = pytest.mark.anyio
FAST = ("--prefill-tokens-per-s", "1e6", "--decode-tokens-per-s", "2000")


async def page(app: SimulatorApp) -> bytes:
    return (await Call("GET", "/metrics").run(app)).data


async def gauges(app: SimulatorApp) -> tuple[float, float]:
    """(running, waiting)"""
    seen = await page(app)
    return series(seen, "vllm:num_requests_running"), series(seen, "vllm:num_requests_waiting")


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():
            await asyncio.sleep(0)


def start(app: SimulatorApp, body: object) -> tuple[Call, asyncio.Task[Call]]:
    call = post("/v1/chat/completions", body)
    return call, asyncio.create_task(call.run(app))


async def test_no_more_than_max_num_seqs_run_and_the_others_wait_their_turn() -> None:
    app = simulator(*FAST, "--max-num-seqs", "2")
    calls = [start(app, chat(f"q{i}", max_tokens=20, ignore_eos=True)) for i in range(5)]
    most, waited = 0.0, 0.0
    while not all(task.done() for _, task in calls):
        running, waiting = await gauges(app)
        most, waited = max(most, running), max(waited, waiting)
        await asyncio.sleep(0)
    assert most == 2
    assert waited >= 3
    assert [call.status for call, _ in calls] == [200] * 5
    assert await gauges(app) == (0, 0)


async def test_choices_of_one_request_take_a_slot_each() -> None:
    app = simulator("--fault", "hang_after_tokens=0", "--max-num-seqs", "8")
    call, task = start(app, chat("hi", n=3))

    async def three_run() -> bool:
        return await gauges(app) == (3, 0)

    await until(three_run)
    call.leave()
    await task
    assert await gauges(app) == (0, 0)


async def test_requests_wait_for_room_in_the_kv_cache() -> None:
    app = simulator(*FAST, "--kv-cache-tokens", "40", "--fault", "hang_after_tokens=1")
    first, first_task = start(app, chat("x " * 10))
    second, second_task = start(app, chat("y " * 10))

    async def one_each() -> bool:
        return await gauges(app) == (1, 1)

    await until(one_each)
    assert 0.5 < series(await page(app), "vllm:kv_cache_usage_perc") <= 1
    first.leave()
    second.leave()
    await asyncio.gather(first_task, second_task)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("hang", ["hang_before_first_byte", "hang_after_tokens=2"])
async def test_a_client_that_leaves_frees_its_slot(stream: bool, hang: str) -> None:
    app = simulator(*FAST, "--max-num-seqs", "1", "--fault", f"{hang}@1")
    call, task = start(app, chat("hi", stream=stream))

    async def runs() -> bool:
        return await gauges(app) == (1, 0)

    await until(runs)
    waiting, waiting_task = start(app, chat("next", max_tokens=2))
    call.leave()
    async with asyncio.timeout(20):
        await asyncio.gather(task, waiting_task)
    assert waiting.status == 200
    assert not call.complete
    assert await gauges(app) == (0, 0)
    assert series(await page(app), "vllm:e2e_request_latency_seconds_count") == 1


async def test_a_client_that_leaves_the_queue_is_forgotten() -> None:
    app = simulator("--max-num-seqs", "1", "--fault", "hang_after_tokens=0")
    first, first_task = start(app, chat("one"))
    second, second_task = start(app, chat("two"))

    async def queued() -> bool:
        return await gauges(app) == (1, 1)

    await until(queued)
    second.leave()
    await second_task
    assert await gauges(app) == (1, 0)
    first.leave()
    await first_task


async def test_counters_agree_with_what_was_answered() -> None:
    app = simulator(*FAST)
    answers = [(await start(app, chat("count me", max_tokens=9))[1]).json() for _ in range(3)]
    seen = await page(app)
    usage = [answer["usage"] for answer in answers]
    assert series(seen, "vllm:prompt_tokens_total") == sum(u["prompt_tokens"] for u in usage)
    generated = sum(u["completion_tokens"] for u in usage)
    assert series(seen, "vllm:generation_tokens_total") == generated
    assert series(seen, "vllm:time_to_first_token_seconds_count") == 3
    assert series(seen, "vllm:inter_token_latency_seconds_count") == generated - 3
    assert series(seen, "vllm:e2e_request_latency_seconds_count") == 3
    assert series(seen, "vllm:request_success_total") == 3


async def test_a_repeated_prompt_head_is_found_in_the_prefix_cache() -> None:
    app = simulator(*FAST)
    for question in ("first", "second"):
        await start(app, chat("shared words " * 40 + question, max_tokens=1))[1]
    seen = await page(app)
    hits, queries = (
        series(seen, f"vllm:prefix_cache_{name}_total") for name in ("hits", "queries")
    )
    assert 0.4 < hits / queries < 0.5


async def test_speculation_gives_the_same_text_in_fewer_steps() -> None:
    drafting = ("--num-speculative-tokens", "4", "--acceptance-rate", "1")
    plain, drafted = simulator(*FAST), simulator(*FAST, *drafting)
    body = chat("go on", max_tokens=20, ignore_eos=True)
    texts = [(await start(app, body)[1]).json()["choices"] for app in (plain, drafted)]
    assert texts[0] == texts[1]
    seen = await page(drafted)
    assert series(seen, "vllm:spec_decode_num_drafts_total") == 4
    assert series(seen, "vllm:spec_decode_num_draft_tokens_total") == 16
    assert series(seen, "vllm:spec_decode_num_accepted_tokens_total") == 16
    by_position = series(seen, "vllm:spec_decode_num_accepted_tokens_per_pos_total", position="3")
    assert by_position == 4
