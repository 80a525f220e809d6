"""`python -m services.device_agent.ask "a question"`: ask an agent, and see who wrote which text.

Green: drafted on the device and verified by the server. Plain: written by the server itself.
Yellow: written by the device alone, not verified.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import httpx

from gateway.protocol.virtual_models import AUTO
from services.device_agent.api.requests import MARKS_HEADER

COLOURS = {"draft": "\033[32m", "verifier": "", "device": "\033[33m"}
SIGNS = {"draft": "=", "verifier": ".", "device": "?"}
RESET = "\033[0m"
TIMEOUT_S = 120.0


class AskFailed(Exception):
    """The question got no answer; one line for the user."""


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m services.device_agent.ask",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("question")
    top.add_argument("--agent", default="http://127.0.0.1:8090", help="default: %(default)s")
    top.add_argument("--model", default=AUTO, help="default: %(default)s")
    top.add_argument("--plain", action="store_true", help="signs below the text, no colours")
    return top


def chunks(agent: str, model: str, question: str) -> Iterator[Any]:
    """The answer's chunks. Raises AskFailed."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": question}],
        "stream": True,
        "return_token_ids": True,
    }
    url, headers = agent.rstrip("/") + "/v1/chat/completions", {MARKS_HEADER: "1"}
    try:
        with httpx.stream("POST", url, json=body, headers=headers, timeout=TIMEOUT_S) as answer:
            if answer.status_code != 200:
                error = json.loads(answer.read())["error"]
                raise AskFailed(str(error["message"]))
            for line in answer.iter_lines():
                if line.startswith("data: {"):
                    yield json.loads(line[6:])
    except httpx.HTTPError as exc:
        raise AskFailed(f"no agent answers at {agent}: {type(exc).__name__}") from exc


def coloured(text: str, origin: str) -> str:
    return f"{COLOURS[origin]}{text}{RESET}" if text and COLOURS[origin] else text


def show(agent: str, model: str, question: str, plain: bool) -> dict[str, Any]:
    """Prints the answer as it comes; returns the report of the last chunk."""
    started, signs = time.monotonic(), ""
    report: dict[str, Any] = {}
    for chunk in chunks(agent, model, question):
        if "error" in chunk:
            raise AskFailed(str(chunk["error"]["message"]))
        if not chunk["choices"]:
            continue
        text = chunk["choices"][0]["delta"].get("content") or ""
        extra = chunk.get("tierflow") or {}
        origin = extra.get("by", ["verifier"])[0]  # one origin a chunk, as marks were asked for
        print(text if plain else coloured(text, origin), end="", flush=True)
        signs += SIGNS[origin] * len(text)
        if "way" in extra:
            report = extra
    print(f"\n{signs}" if plain else "")
    report["seconds"] = time.monotonic() - started
    return report


def summary(report: dict[str, Any]) -> str:
    tokens = report["verified_tokens"] + report["unverified_tokens"]
    line = (
        f"{report['way']}: {tokens} tokens in {1000 * report['seconds']:.0f} ms, "
        f"{report['accepted_tokens']} of them drafted on the device and verified"
    )
    if report["unverified_tokens"]:
        line += f", {report['unverified_tokens']} unverified"
    return line + (f" ({report['degraded']})" if report["degraded"] else "")


def main(argv: Sequence[str]) -> int:
    arguments = parser().parse_args(argv)
    plain = arguments.plain or not sys.stdout.isatty()
    try:
        report = show(arguments.agent, arguments.model, arguments.question, plain)
    except AskFailed as failure:
        print(f"ask: error: {failure}", file=sys.stderr)
        return 1
    print(summary(report))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
