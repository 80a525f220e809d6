"""What an engine's steps are given, and what it reports of them."""

from __future__ import annotations

from types import SimpleNamespace

from services.vllm_server.race.goodput.shared_steps import SharedSteps


def run(steps: SharedSteps, sessions: dict[str, int], count: int) -> dict[str, int]:
    """So many steps whose drafts are all wrong, and in which a row takes a millisecond; gives what
    the last was given."""
    now, chosen = 0, {}
    for _ in range(count):
        steps.begin(now)
        chosen = steps.choose(sessions, requests=len(sessions), drafted_for=len(sessions), room=99)
        rows = len(sessions) + sum(chosen.values())
        steps.fill(
            SimpleNamespace(
                scheduled_spec_decode_tokens={name: [1] * n for name, n in chosen.items()},
                num_scheduled_tokens=dict.fromkeys(sessions, 1),
                total_num_scheduled_tokens=rows,
            )
        )
        for session, offered in chosen.items():
            steps.verified(session, offered, 0)
        steps.end(True)
        now += 1000 * rows
    return chosen


def test_wrong_drafts_are_left_out_once_that_is_known() -> None:
    assert sum(run(SharedSteps(), {"a": 8, "b": 8}, 100).values()) <= 1


def test_told_not_to_choose_it_gives_all_that_have_room() -> None:
    steps = SharedSteps(learns=False)
    assert run(steps, {"a": 8, "b": 8}, 100) == {"a": 8, "b": 8}
    assert steps.choose({"a": 8, "b": 8}, requests=2, drafted_for=2, room=10) == {"a": 8, "b": 2}
    assert steps.choose({"a": 8}, requests=2, drafted_for=2, room=0) == {}


def test_what_steps_took_and_were_expected_to_take_is_reported() -> None:
    steps = SharedSteps()
    run(steps, {"a": 8, "b": 8}, 200)
    report = steps.report()
    assert report["timed_steps"] == 199
    assert 0.5 < report["expected_us"] / report["step_us"] < 2
