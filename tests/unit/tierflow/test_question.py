from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tierflow.command_line import main
from tierflow.question import COLOURS, RESET, SIGNS, AnswerReport, Question, coloured, summary

CHECKOUT = Path(__file__).resolve().parents[3]
DRAFTED = {
    "way": "device-cloud",
    "verified_tokens": 30,
    "unverified_tokens": 0,
    "accepted_tokens": 25,
    "degraded": None,
}


def chunk(text: str, **extra: object) -> dict[str, object]:
    content = {"model": "rill-cloud", "choices": [{"delta": {"content": text}}]}
    return content | ({"tierflow": extra} if extra else {})


@dataclass
class Answerer:
    """A server that streams these chunks, or refuses, and keeps what it was asked."""

    chunks: list[dict[str, object]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    asked: list[dict[str, Any]] = field(default_factory=list)
    authorization: str | None = None
    url: str = ""


@pytest.fixture
def answerer() -> Iterator[Answerer]:
    found = Answerer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found.asked.append(json.loads(body))
            found.authorization = self.headers["authorization"]
            self.send_response(found.status)
            for name, value in found.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if found.status != 200:
                self.wfile.write(b'{"error": {"message": "model: no such"}}')
                return
            for each in found.chunks:
                self.wfile.write(b"data: " + json.dumps(each).encode() + b"\n\n")
            self.wfile.write(b"data: [DONE]\n\n")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_each_maker_has_its_colour_and_its_sign() -> None:
    assert coloured("x", "draft") == f"{COLOURS['draft']}x{RESET}"
    assert coloured("x", "verifier") == "x"
    assert coloured("", "draft") == ""
    assert coloured("x", "edge") == f"{COLOURS['edge']}x{RESET}"
    assert len(set(SIGNS.values())) == len(set(COLOURS.values())) == 4


def test_a_device_agents_answer_is_printed_with_signs(
    answerer: Answerer, capsys: pytest.CaptureFixture[str]
) -> None:
    answerer.chunks = [
        {"choices": [{"delta": {"role": "assistant", "content": ""}}]},
        chunk("ab", by=["draft"]),
        chunk("c", by=["verifier"]),
        chunk("", **DRAFTED),
        {"choices": [], "usage": {"completion_tokens": 3}},
    ]
    assert main(["ask", "--url", answerer.url, "question"]) == 0
    text, signs, who = capsys.readouterr().out.splitlines()
    assert (text, signs) == ("abc", "==.")
    assert who.startswith("device-cloud: 30 tokens in")
    assert who.endswith(f"asked {answerer.url}")


def test_what_a_tier_in_the_middle_wrote_is_shown_as_its_own(
    answerer: Answerer, capsys: pytest.CaptureFixture[str]
) -> None:
    answerer.chunks = [
        chunk("ab", by=["draft"]),
        chunk("cd", by=["edge"]),
        chunk("e", by=["verifier"]),
        chunk("", **{**DRAFTED, "way": "device-edge-cloud", "middle_tokens": {"edge": 4}}),
    ]
    assert main(["ask", "--url", answerer.url, "question"]) == 0
    text, signs, who = capsys.readouterr().out.splitlines()
    assert (text, signs) == ("abcde", "==--.")
    assert "25 of them drafted on the device and verified, 4 by the edge and verified;" in who


def test_a_gateways_answer_says_which_server_wrote_it(
    answerer: Answerer, capsys: pytest.CaptureFixture[str]
) -> None:
    answerer.chunks = [chunk("42"), {"choices": [], "usage": {"completion_tokens": 2}}]
    answerer.headers = {
        "x-tierflow-tier": "edge",
        "x-tierflow-endpoint": "127.0.0.1:8101",
        "x-tierflow-reason": "fastest",
    }
    assert main(["ask", "--url", answerer.url, "question"]) == 0
    text, who = capsys.readouterr().out.splitlines()
    assert text == "42"
    assert who.startswith("rill-cloud at the edge (127.0.0.1:8101, fastest): 2 tokens in")


def test_a_lost_link_and_unverified_tokens_are_told() -> None:
    lost = AnswerReport(extra={**DRAFTED, "unverified_tokens": 4, "degraded": "the link is gone"})
    assert summary(lost).endswith("verified, 4 unverified (the link is gone)")


def test_cascade_and_collective_tell_who_took_part() -> None:
    stages = [
        {"model": "rill-edge", "decision": "escalated"},
        {"model": "rill-cloud", "decision": "answered"},
    ]
    told = summary(AnswerReport(tokens=7, extra={"cascade": {"stages": stages}}))
    assert told.startswith("cascade: rill-edge escalated, then rill-cloud answered: 7 tokens")
    asked = [
        {"device": "phone", "outcome": "answered"},
        {"device": "lamp", "outcome": "straggler"},
    ]
    members = {"members": asked, "decided_by": "vote"}
    told = summary(AnswerReport(extra={"collective": members}))
    assert told.startswith("collective: phone answered, lamp straggler; decided by vote: in")


@pytest.mark.parametrize("question", ['What does "print(2+3)" give?', "`date` $5 $HOME \\ '", "-5"])
def test_a_question_arrives_as_it_was_typed(answerer: Answerer, question: str) -> None:
    assert main(["ask", "--url", answerer.url, "--", question]) == 0
    assert answerer.asked[0]["messages"] == [{"role": "user", "content": question}]


def test_words_without_quotes_are_the_question(answerer: Answerer) -> None:
    words = "what is 6 times 7".split()
    assert main(["ask", *words, "--url", answerer.url]) == 0
    assert answerer.asked[0]["messages"] == [{"role": "user", "content": "what is 6 times 7"}]


def test_make_passes_a_question_on_as_it_was_typed(answerer: Answerer) -> None:
    question = "What does \"print(2+3)\" give? `date` $5 $$HOME 'x' \\"
    subprocess.run(
        ["make", "ask", f"Q={question}", f"ARGS=--url {answerer.url}"],
        cwd=CHECKOUT,
        check=True,
        timeout=60,
    )
    assert answerer.asked[0]["messages"] == [{"role": "user", "content": question}]


def test_a_key_is_shown_to_the_server_alone(
    answerer: Answerer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "tf-secret")
    assert main(["ask", "--url", answerer.url, "question"]) == 0
    assert answerer.authorization == "Bearer tf-secret"
    assert "tf-secret" not in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["  "], 2, "the question is empty"),
        (["q", "--url", "localhost:8080"], 2, "expected http://host:port"),
        (["q", "--max-tokens", "0"], 2, "--max-tokens 0: must be 1 or more"),
        (["q", "--url", "http://localhost:99999"], 2, "with a port of 1 to 65535"),
        (["q", "--key-variable", "NOPE"], 2, "--key-variable NOPE: that variable is not set"),
        (["q", "--url", "http://127.0.0.1:1"], 1, "nothing answers at http://127.0.0.1:1"),
    ],
)
def test_what_can_not_be_asked_is_told_in_one_line(
    words: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", *words]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("tierflow ask: ") and told in line


def test_a_refusal_is_told_with_its_reason(
    answerer: Answerer, capsys: pytest.CaptureFixture[str]
) -> None:
    answerer.status = 400
    assert main(["ask", "--url", answerer.url, "q"]) == 1
    assert capsys.readouterr().err.endswith("refuses: model: no such\n")


@pytest.fixture
def listeners(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The addresses at which something listens, besides the question's own; nothing is set."""
    for name in ("TIERFLOW_URL", "TIERFLOW_PORT", "TIERFLOW_DEVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    found = {"http://127.0.0.1:8080", "http://127.0.0.1:8090"}
    monkeypatch.setattr("tierflow.commands.ask.listens", found.__contains__)
    return found


@pytest.mark.parametrize(
    ("variables", "asked"),
    [
        ({}, "http://127.0.0.1:8090"),
        ({"TIERFLOW_PORT": "8080"}, "http://127.0.0.1:8090"),
        # An agent on the usual port works for the instance on the usual port.
        ({"TIERFLOW_PORT": "9080"}, "http://127.0.0.1:9080"),
        ({"TIERFLOW_PORT": "9080", "TIERFLOW_DEVICE_PORT": "8090"}, "http://127.0.0.1:8090"),
        ({"TIERFLOW_DEVICE_PORT": "9090"}, "http://127.0.0.1:8080"),
        ({"TIERFLOW_URL": "http://127.0.0.1:9080/"}, "http://127.0.0.1:9080"),
        ({"TIERFLOW_URL": "https://far.example", "TIERFLOW_PORT": "1"}, "https://far.example"),
    ],
)
def test_the_question_goes_to_the_instance_that_was_named(
    variables: dict[str, str],
    asked: str,
    listeners: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    urls: list[str] = []

    def note(question: Question, *, plain: bool) -> str:
        urls.append(question.url)
        return ""

    monkeypatch.setattr("tierflow.commands.ask.ask", note)
    assert main(["ask", "hi"]) == 0
    assert urls == [asked]
