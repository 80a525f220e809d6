"""`tierflow ask`"""

from __future__ import annotations

import argparse
import os
import sys

from gateway.protocol.configuration.parser import USAGE
from tierflow.local import agent_url, gateway_url, instance_url, named_url
from tierflow.question import AskFailed, Question, ask, listens

EXAMPLES = """\
  tierflow ask "Add 417 and 325 digit by digit."
  tierflow ask --model tierflow-cascade "Which number is the largest: 17, 71 or 8?"
  tierflow ask --url https://gateway.example --model tierflow-auto "Hello"     # key: OPENAI_API_KEY
  echo 'What does "print(2+3)" give?' | tierflow ask -"""
KEYS = ("TIERFLOW_API_KEY", "OPENAI_API_KEY")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("question", nargs="+", help="as typed; -: from standard input")
    parser.add_argument(
        "--url",
        help=f"of a gateway or a device agent; default: {_default_address()}",
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
        help="the variable that holds the key; default: the first that is set of "
        + ", ".join(KEYS),
    )


def run(arguments: argparse.Namespace) -> int:
    variable = arguments.key_variable
    if variable and not os.environ.get(variable):
        print(f"tierflow ask: --key-variable {variable}: that variable is not set", file=sys.stderr)
        return USAGE
    if variable is None:
        variable = next((name for name in KEYS if os.environ.get(name)), "")
    text = " ".join(arguments.question)
    text = sys.stdin.read() if text == "-" else text
    url = arguments.url or _url()
    question = Question(
        text=text,
        url=url,
        model=arguments.model,
        max_tokens=arguments.max_tokens,
        key=os.environ[variable] if variable else "",
    )
    try:
        print(ask(question, plain=arguments.plain or not sys.stdout.isatty()))
    except AskFailed as failure:
        print(f"tierflow ask: {failure}", file=sys.stderr)
        return failure.exit_code
    return 0


def _url() -> str:
    """Of whom TIERFLOW_URL names, else of the instance that was named: its agent, or its
    gateway."""
    agent = "" if named_url() else agent_url()
    return agent if agent and listens(agent) else gateway_url()


def _default_address() -> str:
    if named_url():
        return "TIERFLOW_URL, which is set"
    agent = agent_url()
    of_agent = f"this machine's agent where one listens ({agent}), else " if agent else ""
    return f"TIERFLOW_URL, or {of_agent}the gateway ({instance_url()})"
