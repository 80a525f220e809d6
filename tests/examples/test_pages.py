"""Page by page: every command does before the stack of `make up` what the page says, and prints
what the page shows."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace

import pytest

from tests.documents.blocks import Example
from tests.documents.outcomes import outcomes
from tests.documents.outputs import compared
from tests.documents.reader import Reader
from tests.engines import engine_python
from tests.examples import parts
from tests.examples.machine import Machine
from tests.servers import free_port

pytestmark = pytest.mark.integration
BY_PAGE = parts.by_page()
SERVES = {
    r"^make device|^tierflow device (?!enrol)": "INFO connected to the gateway",
    r"^tierflow logs .*--follow": '"event"',
    r"-m services\.engine_simulator": "engine simulator: rill-edge at http://",
    r"-m loadtest\.link": "ready",
}
"""What goes on until it is interrupted, and what it says when it can be used."""
FILLED_IN = {
    "docs/device-members.md": {" NAME": " camera"},
    # Enough to fit to, and few enough for a test.
    "docs/cascade.md": {
        "--window 3": "--window 3 --questions 200",
        "--stream-mode live": "--stream-mode live --questions 200",
    },
    "docs/command-line.md": {
        "Q='…'": "Q='What is 6 * 7?'",
        "tierflow ask -": "echo 'What is 6 * 7?' | tierflow ask -",
    },
}
SAYS = (
    ("README.md", r"^curl", "742"),
    ("README.md", r"^make ask", "Answer: 742"),
    ("README.md", r"OpenAI", "9"),
    ("README.md", r"^make (status|logs|help)", "gateway"),
    ("docs/cascade.md", r"^curl", "742"),
    ("docs/cascade.md", r"calibrate ask", "predictor.json"),
    ("docs/command-line.md", r"ask (-|Q=)", "42"),
)
"""Answers and words that a command must give, whatever else it says."""
OPERATORS = ("docs/device-members.md", "docs/keys.md")
"""Pages whose reader holds the operator's token."""


@pytest.mark.parametrize("page", BY_PAGE)
def test_a_page_does_and_shows_what_it_says(page: str, stack: Machine) -> None:
    reader = reader_of(page, stack)
    with ExitStack() as servers:
        for example in BY_PAGE[page]:
            play(example, reader, stack, servers)


def reader_of(page: str, stack: Machine) -> Reader:
    """With what the page says that its reader has."""
    token = (stack.state / "admin.token").read_text().strip()
    reader = stack.reader(
        engine_python() if page == "docs/model-family.md" else sys.executable,
        **({"TIERFLOW_ADMIN_TOKEN": token} if page in OPERATORS else {}),
    )
    reader.values.update(FILLED_IN.get(page, {}))
    if page == "docs/cascade.md":
        (stack.folder / "outcomes.jsonl").write_text("".join(outcomes()))
    if page == "docs/command-line.md":
        reader.values["9080"] = stack.ports["8080"]
    if page == "docs/engine-simulator.md":
        reader.addresses = {**reader.addresses, "8101": str(free_port())}
    if page == "docs/device-agent.md":
        have_new_environment(reader)
    return reader


def have_new_environment(reader: Reader) -> None:
    """Whose `pip` installs, and whose `tierflow` is what it has installed."""
    environment = reader.folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    programs = {name: f'exec {environment}/bin/{name} "$@"' for name in ("pip", "tierflow")}
    reader.programs = {**reader.programs, **programs}
    reader.variables["PYTHONPATH"] = ""


def play(example: Example, reader: Reader, stack: Machine, servers: ExitStack) -> None:
    print(f"$ {reader.filled_in(example.text)}" if "…" not in example.text else example.text)
    if example.text == "make up":
        return  # It has been typed: see the stack.
    if "collective/feedback" in example.text:
        answered(reader)
    for mark, ready in SERVES.items():
        if re.search(mark, example.text):
            return serve(example, ready, reader, stack, servers)
    printed = reader.run(example)
    print(printed)
    for page, mark, word in SAYS:
        if example.page == page and re.search(mark, example.text, re.M):
            assert word in printed, f"{example}: {printed}"


def serve(example: Example, ready: str, reader: Reader, stack: Machine, servers: ExitStack) -> None:
    """In another shell, until the page ends."""
    terminal = servers.enter_context(stack.terminal(reader))
    terminal.begin(reader.filled_in(example.text).rstrip("& "))
    printed = terminal.shows(lambda text: ready in text, 60)
    if example.shown:
        begin, _, rest = printed.partition(ready)
        compared(example.shown, begin + ready + rest.partition("\n")[0])


def answered(reader: Reader) -> None:
    """A caller with a key asks the collective, whose answer the page then judges."""
    key = reader.run(Example("docs/keys.md", "tierflow admin keys make judge")).split()[0]
    reader.variables["KEY"] = key
    asked = BY_PAGE["docs/collective.md"][0]
    text = asked.text.replace("curl ", 'curl -H "authorization: Bearer $KEY" ', 1)
    printed = reader.run(replace(asked, text=text))
    reader.values["chatcmpl-…"] = re.search(r"chatcmpl-\w+", printed)[0]  # type: ignore[index]
