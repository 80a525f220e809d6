"""`tierflow ask`"""

from __future__ import annotations

import argparse
import os
import sys

from tierflow.local import agent_url, gateway_url
from tierflow.question import AskFailed, Question, ask, listens

EXAMPLES = """\
  tierflow ask "Add 417 and 325 digit by digit."
  tierflow ask --model tierflow-cascade "Which number is the largest: 17, 71 or 8?"
  tierflow ask --url https://gateway.example --model tierflow-auto "Hello"     # key: OPENAI_API_KEY
  echo 'What does "print(2+3)" give?' | tierflow ask -"""
KEYS = ("TIERFLOW_API_KEY", "OPENAI_API_KEY")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("question", help="as typed; -: from standard input")
    parser.add_argument(
        "--url",
        help="of a gateway or a device agent; default: the agent of this machine where one "
        f"listens ({agent_url()}), else the gateway ({gateway_url()})",
    )
    parser.add_argument("--model", default="tierflow-auto", help="default: %(default)s")
    parser.add_argument("--max-tokens", type=int, help="of the answer; default: the server's")
    parser.add_argument(
        "--plain",
        action="store_true",
        help="signs below the text that say who wrote it, no colours",
    )
    parser.add_argument(
        "--key-variable",
        default=next((name for name in KEYS if os.environ.get(name)), KEYS[0]),
        help="the variable that holds the key; default: the first that is set of "
        + ", ".join(KEYS),
    )


def run(arguments: argparse.Namespace) -> int:
    text = sys.stdin.read() if arguments.question == "-" else arguments.question
    url = arguments.url or (agent_url() if listens(agent_url()) else gateway_url())
    question = Question(
        text=text,
        url=url,
        model=arguments.model,
        max_tokens=arguments.max_tokens,
        key=os.environ.get(arguments.key_variable, "") if arguments.key_variable else "",
    )
    try:
        print(ask(question, plain=arguments.plain or not sys.stdout.isatty()))
    except AskFailed as failure:
        print(f"tierflow ask: {failure}", file=sys.stderr)
        return failure.exit_code
    return 0
