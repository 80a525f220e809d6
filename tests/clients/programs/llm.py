"""The `llm` command line: its options, its answers, an interrupt."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.clients.programs.case import PIECES, Answer, Case, answer_cases

LLM = str(Path(sys.executable).with_name("llm"))


def command(case: Case, *more: str) -> list[str]:
    """The models of a user's `extra-openai-models.yaml`, and the question to this one."""
    entry = {
        "model_id": "asked",
        "model_name": case.model,
        "api_base": case.v1,
        "api_key_name": "asked",
        "supports_schema": True,
        "supports_tools": True,
    }
    folder = Path(os.environ["LLM_USER_PATH"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "extra-openai-models.yaml").write_text(json.dumps([entry]))
    options = ["-o", "temperature", "0", "-o", "max_tokens", str(case.max_tokens)]
    return [LLM, "--no-log", "--key", case.key, "-m", "asked", *options, *more, case.question]


def run(case: Case, *more: str) -> Answer:
    done = subprocess.run(
        command(case, *more), capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120
    )
    if done.returncode:
        return {"error": f"exit code {done.returncode}", "message": done.stderr.strip()}
    return {"text": done.stdout.removesuffix("\n")}


def plain(case: Case) -> Answer:
    return run(case, "--no-stream")


def stream(case: Case) -> Answer:
    return run(case)


def tool(case: Case) -> Answer:
    """It leaves the choice to the model."""
    function = "def look_up(word: str, exact: bool) -> str:\n    'Looks a word up'\n    return word"
    return run(case, "--functions", function, "--no-stream")


def structured(case: Case) -> Answer:
    answer = run(
        case,
        *("--no-stream", "--schema", json.dumps(case.schema)),
        *("-o", "frequency_penalty", str(case.penalty)),
    )
    return {"value": json.loads(answer["text"])} if "text" in answer else answer


def interruptible() -> None:
    """What a shell starts in the background ignores interrupts, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def cancel(case: Case) -> Answer:
    """An interrupt, as of Ctrl-C, after the first pieces."""
    endless = ("-o", "logit_bias", json.dumps({str(token): -100 for token in case.end_tokens}))
    process = subprocess.Popen(
        command(case, *endless),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        preexec_fn=interruptible,
    )
    assert process.stdout is not None
    read = sum(bool(os.read(process.stdout.fileno(), 4096)) for _ in range(PIECES))
    process.send_signal(signal.SIGINT)
    process.stdout.close()
    process.wait(30)
    return {"pieces": read}


if __name__ == "__main__":
    answer_cases(
        {
            "plain": plain,
            "stream": stream,
            "tool": tool,
            "structured": structured,
            "cancel": cancel,
        }
    )
