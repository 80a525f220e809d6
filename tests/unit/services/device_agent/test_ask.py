import httpx
import pytest

from services.device_agent import ask

REPORT = {
    "way": "device-cloud",
    "verified_tokens": 30,
    "unverified_tokens": 0,
    "accepted_tokens": 25,
    "degraded": None,
    "seconds": 0.05,
}


def test_each_maker_has_its_colour_and_its_sign() -> None:
    assert ask.coloured("x", "draft") == f"{ask.COLOURS['draft']}x{ask.RESET}"
    assert ask.coloured("x", "verifier") == "x"
    assert ask.coloured("", "draft") == ""
    assert len(set(ask.SIGNS.values())) == 3


def test_the_summary_tells_who_wrote_it() -> None:
    assert ask.summary(REPORT) == (
        "device-cloud: 30 tokens in 50 ms, 25 of them drafted on the device and verified"
    )
    lost = {**REPORT, "unverified_tokens": 4, "degraded": "the link is gone"}
    assert ask.summary(lost).endswith("verified, 4 unverified (the link is gone)")


def test_without_an_agent_one_line_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask.main(["question", "--agent", "http://127.0.0.1:1"]) == 1
    assert capsys.readouterr().err.startswith("ask: error: no agent answers at http://127.0.0.1:1")


def test_an_answer_is_printed_with_signs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def chunk(text: str, **extra: object) -> dict[str, object]:
        return {"choices": [{"delta": {"content": text}}], "tierflow": extra}

    chunks = [
        {"choices": [{"delta": {"role": "assistant", "content": ""}}]},
        chunk("ab", by=["draft"]),
        chunk("c", by=["verifier"]),
        chunk("", **REPORT),
        {"choices": [], "usage": {}},
    ]
    monkeypatch.setattr(ask, "chunks", lambda *given: iter(chunks))
    report = ask.show("", "", "", plain=True)
    assert capsys.readouterr().out == "abc\n==.\n"
    assert report["way"] == "device-cloud"


def test_the_agents_refusal_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        return httpx.Response(400, json={"error": {"message": "model: no such"}})

    client = httpx.Client(transport=httpx.MockTransport(refuse))
    monkeypatch.setattr(httpx, "stream", client.stream)
    with pytest.raises(ask.AskFailed, match="model: no such"):
        next(ask.chunks("http://agent", "m", "q"))
