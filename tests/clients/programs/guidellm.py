"""guidellm: a short synthetic load. Its data loader needs torch, which is the engines' here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from tests.clients.programs.case import Answer, Case, answer_cases

REQUESTS = 3
COMMAND = "import sys; sys.path.append(sys.argv.pop(1)); from guidellm.__main__ import cli; cli()"
ONE_WORKER = {"GUIDELLM__MAX_WORKER_PROCESSES": "1"}
SHORT_S = 1
"""After so long a load ends in the middle of a request."""


def command(case: Case, report: Path, constraint: dict[str, Any], *, stream: bool) -> list[str]:
    backend = {
        "kind": "openai_http",
        "target": case.url,
        "model": case.model,
        "api_key": case.key,
        "stream": stream,
    }
    arguments = {
        "backend": backend,
        "profile": {"kind": "synchronous"},
        "constraint": constraint,
        "tokenizer": {"kind": "hf_auto", "model": case.tokenizer},
        "data": {"kind": "synthetic_text", "prompt_tokens": 16, "output_tokens": case.max_tokens},
        "output": {"kind": "json", "path": str(report)},
    }
    words = [sys.executable, "-c", COMMAND, os.environ["TORCH_SITE_PACKAGES"]]
    words += ["run", "--disable-console"]
    for name, values in arguments.items():
        words += [f"--{name}", json.dumps(values)]
    return words


def load(case: Case, constraint: dict[str, Any], *, stream: bool = True) -> Answer:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        done = subprocess.run(
            command(case, report, constraint, stream=stream),
            env={**os.environ, **ONE_WORKER},
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            stderr=subprocess.PIPE,
            text=True,
            timeout=280,
        )
        print(done.stderr, file=sys.stderr)
        if not report.is_file():
            # Which of its workers' words come last, chance decides.
            return {"error": f"exit code {done.returncode}", "message": ""}
        (benchmark,) = json.loads(report.read_text())["benchmarks"]
    answered = benchmark["requests"]["successful"]
    return {
        "answered": len(answered),
        "failed": len(benchmark["requests"]["errored"]),
        "broken off": len(benchmark["requests"]["incomplete"]),
        "tokens": [[one["prompt_tokens"], one["output_tokens"]] for one in answered],
        "texts": [one["output"] for one in answered],
    }


def some(case: Case, *, stream: bool) -> Answer:
    return load(case, {"kind": "max_requests", "count": REQUESTS}, stream=stream)


def cancel(case: Case) -> Answer:
    """The end of a load breaks off what is under way."""
    answer = load(case, {"kind": "max_duration", "seconds": SHORT_S})
    return {"broken off": answer["broken off"]} if "broken off" in answer else answer


if __name__ == "__main__":
    answer_cases(
        {
            "plain": partial(some, stream=False),
            "stream": partial(some, stream=True),
            "cancel": cancel,
        }
    )
