"""The three stories of docs/reliability.md, one after the other, on a machine of their own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.documents.blocks import Example, shown
from tests.documents.outputs import compared
from tests.documents.reader import Reader
from tests.documents.runs import STORY
from tests.examples import parts
from tests.examples.machine import Machine
from tests.examples.terminal import Terminal
from tests.redis_server import needs_redis
from tests.servers import eventually

pytestmark = [pytest.mark.integration, needs_redis]
REDIS = 'state: {redis: {url: "redis://127.0.0.1:6379/0"}}'
"""What the second story adds to the gateway's file."""


@dataclass
class Story:
    """Plays the page's commands, each by its beginning. `others`: the other terminals."""

    reader: Reader
    main: Terminal
    caller: Terminal
    left: list[Example] = field(default_factory=lambda: list(parts.played(parts.RELIABILITY)))
    gateway: str = ""

    def next(self, begin: str) -> str:
        """The page's next command, which begins so, as it is typed here."""
        example = self.left.pop(0)
        assert example.text.startswith(begin), f"{STORY}: {begin}… is to come before {example.text}"
        return self.reader.filled_in(example.text)

    def of(self, begin: str) -> str:
        """The same of a command of the page, wherever it stands."""
        found = (each.text for each in parts.played(parts.RELIABILITY))
        return self.reader.filled_in(next(text for text in found if text.startswith(begin)))

    def types(self, begin: str) -> str:
        return self.main.enter(self.next(begin))

    def log(self, event: str) -> list[dict[str, object]]:
        text = (self.reader.folder / "gateway.log").read_text()
        lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("event") == event]

    def ready(self) -> str:
        """What /ready answers; empty where nobody listens."""
        return self.main.enter(self.of("curl -s http") + " || true")

    def start_gateway(self, command: str) -> None:
        self.main.enter(command)
        eventually(lambda: '"ready":true' in self.ready(), "the gateway is ready", 60)


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    machine = Machine(tmp_path)
    # The page's gateway listens where every gateway does.
    reader = machine.reader(TIERFLOW_GATEWAY_LISTEN__PORT=machine.ports["8080"])
    # Nobody else's gateway reads a file of this name: the page stops a gateway by it.
    own = f"gateway-{machine.ports['8080']}.yaml"
    reader.values["gateway.yaml"] = own
    with machine.terminal(reader) as main, machine.terminal(reader) as caller:
        yield Story(reader, main, caller)


def test_the_stories_go_as_they_are_told(story: Story) -> None:
    an_engine_dies(story)
    redis_dies(story)
    a_replica_leaves(story)
    assert story.left == []


def words(stream: str) -> list[str]:
    """The pieces of text of a stream of events."""
    events = re.findall(r"^data: (\{.*)$", stream, re.M)
    deltas = [choice["delta"] for each in events for choice in json.loads(each)["choices"]]
    return [delta["content"] for delta in deltas if delta.get("content")]


def openings(stream: str) -> int:
    return stream.count('"role":"assistant"')


def an_engine_dies(story: Story) -> None:
    for begin in ("PY=", "cat >", "for port"):
        story.types(begin)
    gateway = story.next("$PY -m gateway")
    story.gateway = gateway
    story.start_gateway(gateway)
    ask = story.next("curl -Ni")
    story.caller.begin(ask)
    begun = story.caller.shows(lambda printed: len(words(printed)) > 5, 60)
    named = re.search(r"x-tierflow-endpoint: 127\.0\.0\.1:(\d+)", begun, re.I)
    assert named
    kill = story.next("pkill -9 -f 'engine_simulator.*--port")
    story.main.enter(re.sub(r"--port \d+", f"--port {named[1]}", kill))
    stream = story.caller.shows(lambda printed: "data: [DONE]" in printed, 60)
    assert openings(stream) == 1 and stream.count("[DONE]") == 1
    eventually(lambda: "ClientConnectorError" in story.ready(), "the dead engine is named", 30)
    compared(as_named(shown(STORY, '{"ready":true'), named[1], story), story.types("curl -s"))
    story.types("tail -n 3")
    assert story.log("endpoint_down")
    (own,) = [line for line in story.log("request") if line.get("attempts") == 2]
    assert own["resumptions"] == 1
    story.caller.begin(ask)
    whole = story.caller.shows(lambda printed: "data: [DONE]" in printed, 60)
    assert "".join(words(whole)) == "".join(words(stream))


def as_named(page: str, dead: str, story: Story) -> str:
    """The page's answer of /ready, with the ports of this machine, where either engine may be the
    one that was killed."""
    alive, other = (story.reader.addresses[port] for port in ("8101", "8102"))
    alive = other if dead == alive else alive
    return page.replace("8101", alive).replace("8102", dead)


def redis_dies(story: Story) -> None:
    """With Redis in the gateway's file."""
    folder = story.reader.folder
    file = folder / story.reader.filled_in("gateway.yaml")
    story.main.enter(story.of("kill -TERM"))
    eventually(lambda: bool(story.log("gateway_stopped")), "the gateway has stopped", 60)
    file.write_text(file.read_text() + story.reader.filled_in(REDIS) + "\n")
    story.main.enter(story.of("redis-server"))
    story.start_gateway(story.gateway)
    story.types("redis-cli shutdown")
    eventually(lambda: "the shared state at" in story.ready(), "the loss is told", 60)
    told = re.search(r'"state-lost":"[^"]*"', story.types("curl -s"))
    assert told
    compared(shown(STORY, '"state-lost"'), told[0])
    assert story.log("state_lost")
    story.types("redis-server")
    eventually(lambda: bool(story.log("state_back")), "the state is back", 30)
    eventually(lambda: "state-emptied" in story.ready(), "what was lost is told", 30)
    assert story.log("state_emptied")


def a_replica_leaves(story: Story) -> None:
    ask = story.of("curl -Ni")
    story.caller.begin(ask)
    story.caller.shows(lambda printed: len(words(printed)) > 5, 60)
    story.types("kill -TERM")
    told = story.types("curl -s -w")
    assert told.rstrip().endswith("503") and '"draining"' in told
    refused = re.sub("curl -Ni", "curl -s", ask) + " || true"
    eventually(
        lambda: '"draining"' in story.main.enter(refused), "another replica is to be asked", 30, 0.2
    )
    stream = story.caller.shows(lambda printed: "data: [DONE]" in printed, 60)
    assert openings(stream) == 1
    eventually(lambda: bool(story.log("gateway_stopped")), "the gateway has stopped", 60)
    (began,), (ended,) = story.log("drain_started")[-1:], story.log("drain_ended")[-1:]
    assert began["requests"] == 1 and ended["ended"] == 0
