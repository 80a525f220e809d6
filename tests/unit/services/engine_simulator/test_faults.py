import asyncio
import json

import pytest

from tests.unit.services.engine_simulator.asgi_client import Call, ask, chat, get, post, simulator

CHAT = "/v1/chat/completions"


def statuses(app: object, count: int) -> list[int]:
    return [ask(app, CHAT, chat("hi", max_tokens=1)).status for _ in range(count)]  # type: ignore[arg-type]


def test_refusing_answers_503() -> None:
    answer = ask(simulator("--unpaced", "--fault", "refuse"), CHAT, chat("hi"))
    assert (answer.status, answer.json()["error"]["code"]) == (503, 503)


def test_a_limited_fault_passes_after_its_requests() -> None:
    assert statuses(simulator("--unpaced", "--fault", "refuse@2"), 4) == [503, 503, 200, 200]


def test_errors_come_at_the_set_rate_and_repeat_with_the_seed() -> None:
    flags = ("--unpaced", "--fault", "error_probability=0.5", "--seed", "7")
    first, second = statuses(simulator(*flags), 60), statuses(simulator(*flags), 60)
    assert first == second
    assert 15 < first.count(500) < 45


def test_the_socket_is_left_open_ended_after_so_many_tokens() -> None:
    app = simulator("--unpaced", "--fault", "close_after_tokens=2")
    answer = ask(app, CHAT, chat("hi", stream=True, max_tokens=9))
    texts = [e["choices"][0]["delta"].get("content") for e in answer.events()]
    assert len(texts) == 3
    assert not answer.complete


def test_a_whole_answer_is_cut_in_the_middle() -> None:
    app = simulator("--unpaced", "--fault", "close_after_tokens=2")
    answer = ask(app, CHAT, chat("hi"))
    assert (answer.status, answer.complete) == (200, False)
    with pytest.raises(ValueError):
        answer.json()


def test_half_an_event_is_the_last_that_a_client_gets() -> None:
    app = simulator("--unpaced", "--fault", "half_event_after_tokens=2")
    answer = ask(app, CHAT, chat("hi", stream=True, max_tokens=9))
    *whole, half = answer.data.split(b"\n\n")
    assert (len(whole), answer.complete) == (3, False)
    assert half.startswith(b'data: {"id":"chatcmpl-')
    with pytest.raises(ValueError):
        json.loads(half.removeprefix(b"data: "))


@pytest.mark.parametrize("tokens", [0, 2])
def test_an_engine_that_died_says_so_in_the_stream_and_ends_it(tokens: int) -> None:
    app = simulator("--unpaced", "--fault", f"error_event_after_tokens={tokens}")
    answer = ask(app, CHAT, chat("hi", stream=True, max_tokens=9))
    *before, failure = answer.events()
    assert len(before) == (tokens + 1 if tokens else 0)
    assert (failure["error"]["code"], answer.complete) == (500, True)
    assert answer.data.endswith(b"data: [DONE]\n\n")


def test_an_empty_answer_is_200_without_anything_in_it() -> None:
    app = simulator("--unpaced", "--fault", "empty")
    whole, stream = (ask(app, CHAT, chat("hi", stream=stream)) for stream in (False, True))
    assert (whole.status, whole.json(), whole.complete) == (200, {}, True)
    assert (stream.status, stream.data, stream.complete) == (200, b"", True)
    page = get(app, "/metrics").data
    assert b'running{engine="0",model_name="m"} 0.0' in page


def test_any_status_can_be_answered() -> None:
    app = simulator("--unpaced", "--fault", "status=429@1")
    assert statuses(app, 2) == [429, 200]


def test_garbage_stands_between_good_events() -> None:
    app = simulator("--unpaced", "--fault", "garbage_after_tokens=1")
    answer = ask(app, CHAT, chat("hi", stream=True, max_tokens=3))
    with pytest.raises(ValueError):
        answer.events()
    assert answer.data.endswith(b"data: [DONE]\n\n")


def test_hanging_before_the_first_byte_sends_nothing_and_after_tokens_sends_those() -> None:
    async def hang(fault: str) -> Call:
        app = simulator("--unpaced", "--fault", fault)
        call = post(CHAT, chat("hi", stream=True, max_tokens=9))
        task = asyncio.create_task(call.run(app))
        metrics = b""
        while b'running{engine="0",model_name="m"} 1.0' not in metrics:
            metrics = (await Call("GET", "/metrics").run(app)).data
            await asyncio.sleep(0)
        call.leave()
        return await task

    assert asyncio.run(hang("hang_before_first_byte")).status == 0
    assert len(asyncio.run(hang("hang_after_tokens=2")).events()) == 3
    headers_only = asyncio.run(hang("hang_after_tokens=0"))
    assert (headers_only.status, headers_only.data) == (200, b"")


def test_ill_health_and_other_models_show_where_engines_are_watched() -> None:
    app = simulator("--unpaced", "--fault", "unhealthy", "--fault", "models=x,y")
    assert get(app, "/health").status == 503
    assert [card["id"] for card in get(app, "/v1/models").json()["data"]] == ["x", "y"]
    assert ask(app, CHAT, chat("hi")).status == 404
    assert ask(app, CHAT, {**chat("hi"), "model": "y"}).status == 200


def test_faults_are_set_shown_and_cleared_at_run_time() -> None:
    app = simulator("--unpaced", "--allow-fault-control")
    wanted = {"refuse": {"value": True, "requests": 1}, "unhealthy": True}
    shown = ask(app, "/simulator/faults", wanted).json()
    assert shown == {
        "refuse": {"value": True, "requests": 1},
        "unhealthy": {"value": True, "requests": None},
    }
    assert statuses(app, 2) == [503, 200]
    assert asyncio.run(Call("DELETE", "/simulator/faults").run(app)).json() == {}
    assert get(app, "/health").status == 200


def test_fault_control_is_refused_unless_it_was_allowed() -> None:
    assert ask(simulator("--unpaced"), "/simulator/faults", {"refuse": True}).status == 403


@pytest.mark.parametrize(
    ("wanted", "named"),
    [
        ({"explode": True}, "explode"),
        ({"error_probability": 2}, "error_probability"),
        ({"status": 200}, "status"),
        ({"token_delay_s": "soon"}, "token_delay_s"),
        ({"refuse": {"value": True, "requests": 0}}, "refuse"),
        ({"refuse": {"value": True, "requests": "x"}}, "refuse"),
        ([], "object"),
    ],
)
def test_a_wrong_fault_is_named_and_nothing_is_set(wanted: object, named: str) -> None:
    app = simulator("--unpaced", "--allow-fault-control")
    answer = ask(app, "/simulator/faults", wanted)
    assert answer.status == 400
    assert named in answer.json()["error"]["message"]
    assert get(app, "/simulator/faults").json() == {}


def test_delays_change_no_text() -> None:
    slow = ("--fault", "token_delay_s=0.0001", "--fault", "token_jitter_s=0.0001")
    body = chat("hi", stream=True, max_tokens=5, return_token_ids=True)
    answers = [ask(simulator("--unpaced", *flags), CHAT, body) for flags in ((), slow)]
    plain, delayed = ([e["choices"] for e in answer.events()] for answer in answers)
    assert plain == delayed
