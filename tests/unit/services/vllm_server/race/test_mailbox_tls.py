"""The mailbox over TLS: the gateway's own client at the engine's own server."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gateway.adapters.engines.mailbox import Mailbox
from gateway.core.speculation.job import DraftRun
from gateway.protocol import mailbox as wire
from gateway.protocol.mailbox import DraftMessage, MailboxGreeting
from services.vllm_server.race import mailbox as module
from services.vllm_server.race import mailbox_tls
from services.vllm_server.race.mailbox import MailboxServer
from services.vllm_server.race.mailbox_tls import MailboxTls
from tests.certificates import Authority, authority, needs_openssl
from tests.servers import eventually

pytestmark = [pytest.mark.anyio, needs_openssl]
SECRET = b"secret of this test"


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("known"))


@pytest.fixture
def files(known: Authority, tmp_path: Path) -> tuple[Path, Path]:
    """The engine's certificate and key, which may be replaced."""
    issued = known.issue("engine")
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    shutil.copy(issued.certificate, certificate)
    shutil.copy(issued.key, key)
    return certificate, key


@pytest.fixture
def engine(known: Authority, files: tuple[Path, Path]) -> Iterator[MailboxServer]:
    certificate, key = files
    server = MailboxServer(
        host="127.0.0.1",
        port=0,
        secret=SECRET,
        greeting=MailboxGreeting(wire.VERSION, 100, 16),
        report=dict,
        tls=MailboxTls(certificate=certificate, key=key, client_ca=Path(known.ca)),
    )
    yield server
    server.close()


def gateways(engine: MailboxServer, tls: ssl.SSLContext | None) -> Mailbox:
    return Mailbox(
        endpoint_id="edge:1",
        address=f"127.0.0.1:{engine.port}",
        secret=SECRET,
        uniform=lambda: 0.5,
        counts_every_s=0.05,
        tls=tls,
    )


async def settle(mailbox: Mailbox) -> None:
    """Until it is connected or knows why it is not."""
    mailbox.start()
    async with asyncio.timeout(20):
        while mailbox.problem == "not connected yet":
            await asyncio.sleep(0.01)


async def test_drafts_and_counts_pass_where_each_side_knows_the_other(
    engine: MailboxServer, known: Authority
) -> None:
    mailbox = gateways(engine, known.client(known.issue("gateway")))
    await settle(mailbox)
    assert mailbox.problem == "" and mailbox.facts.vocabulary == 100
    positions = range(0, 9000, 90)
    runs: list[DraftRun] = [(position, list(range(90)), []) for position in positions]
    assert mailbox.put("session-1", runs)  # More than one record of TLS.
    drained: list[tuple[DraftMessage, int]] = []

    def come() -> bool:
        drained.extend(engine.drain(999))
        return len(drained) == len(runs)

    await asyncio.to_thread(eventually, come, "all came")
    assert [drafts.position for drafts, _ in drained] == list(positions)
    async with asyncio.timeout(20):
        while not mailbox.counts:
            await asyncio.sleep(0.01)
    assert mailbox.counts["connections"] == 1
    await mailbox.stop()


@pytest.mark.parametrize("shows", ["no TLS", "no certificate", "no trust"])
async def test_who_lacks_anything_leaves_no_drafts(
    engine: MailboxServer, known: Authority, shows: str
) -> None:
    contexts = {
        "no TLS": None,
        "no certificate": known.client(),
        "no trust": ssl.create_default_context(),
    }
    mailbox = gateways(engine, contexts[shows])
    await settle(mailbox)
    async with asyncio.timeout(20):
        while not mailbox.problem:  # TLS 1.3 says late that the client's certificate is missing.
            await asyncio.sleep(0.01)
    assert not mailbox.connected and not mailbox.put("session-1", [(0, [1], [])])
    assert ("certificate chain" in mailbox.problem) == (shows == "no trust")
    await mailbox.stop()


async def test_silent_strangers_do_not_keep_the_gateway_out(
    engine: MailboxServer, known: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HANDSHAKE_S", 60)
    with ExitStack() as stack:
        for _ in range(module.MAX_STRANGERS - 1):
            stack.enter_context(socket.create_connection(("127.0.0.1", engine.port), 10))
        mailbox = gateways(engine, known.client(known.issue("gateway")))
        await settle(mailbox)
        assert mailbox.problem == ""
        await mailbox.stop()


def test_new_files_serve_new_connections_and_bad_ones_leave_those_before(
    known: Authority, files: tuple[Path, Path]
) -> None:
    certificate, key = files
    tls = MailboxTls(certificate=certificate, key=key, client_ca=None)
    first = tls.context(100.0)
    shutil.copy(known.issue("later").certificate, certificate)
    assert tls.context(100.0 + mailbox_tls.LOOK_S) is first  # It is of another key.
    shutil.copy(known.folder / "later.key", key)
    assert tls.context(100.0 + 2 * mailbox_tls.LOOK_S) is not first


def test_a_missing_file_is_told_once_until_it_is_back(
    files: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    certificate, key = files
    tls = MailboxTls(certificate=certificate, key=key, client_ca=None)
    looks = (100.0 + number * mailbox_tls.LOOK_S for number in range(9))
    first, hidden, told = tls.context(next(looks)), key.with_name("hidden"), []
    for there in (False, False, False, True, False, False):
        if there != key.exists():
            (hidden if there else key).rename(key if there else hidden)
        assert tls.context(next(looks)) is first
        told.append(len(caplog.records))
    assert told == [1, 1, 1, 1, 2, 2]


def test_files_that_cannot_be_used_are_an_error_at_the_start(files: tuple[Path, Path]) -> None:
    certificate, key = files
    with pytest.raises(ValueError, match="files of the mailbox's TLS"):
        MailboxTls(certificate=certificate, key=certificate.with_name("nowhere"), client_ca=None)
    with pytest.raises(ValueError, match="KEY_VALUES|PEM|NO_"):
        MailboxTls(certificate=key, key=certificate, client_ca=None)
