"""TLS by files that are replaced while connections are open."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.tls import LiveTls, TlsFiles, TlsWatch
from gateway.errors import ConfigError
from gateway.wiring.tls import tls_conditions
from tests.certificates import Authority, Issued, authority, needs_openssl

pytestmark = [pytest.mark.anyio, needs_openssl]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("known"))


@pytest.fixture(scope="module")
def first(known: Authority) -> Issued:
    return known.issue("first")


def server_files(folder: Path, issued: Issued, **files: Any) -> TlsFiles:
    """A copy of the pair in `folder`, which may be replaced."""
    replace(folder, issued)
    names = {"certificate": str(folder / "tls.crt"), "key": str(folder / "tls.key")}
    return TlsFiles(setting="listen.tls", server=True, **(names | files))


def replace(folder: Path, issued: Issued) -> None:
    shutil.copy(issued.certificate, folder / "tls.crt")
    shutil.copy(issued.key, folder / "tls.key")


@asynccontextmanager
async def echo(tls: ssl.SSLContext) -> AsyncIterator[int]:
    """The port of a server that says back what it is told."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(64):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def connection(
    port: int, tls: ssl.SSLContext
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def said_back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    writer.write(b"hello")
    return await reader.readexactly(5) == b"hello"


async def served_by(port: int, tls: ssl.SSLContext) -> str:
    """The server's name by its certificate, over a new connection that is used."""
    async with connection(port, tls) as (reader, writer):
        assert await said_back(reader, writer)
        subject = writer.get_extra_info("peercert")["subject"]
    return str(dict(pair for (pair,) in subject)["commonName"])


async def test_a_new_certificate_serves_new_connections_and_old_ones_stay(
    known: Authority, first: Issued, tmp_path: Path
) -> None:
    live = LiveTls(server_files(tmp_path, first))
    async with echo(live.context) as port:
        async with connection(port, known.client()) as (reader, writer):
            assert await said_back(reader, writer)
            assert await served_by(port, known.client()) == "first"
            replace(tmp_path, known.issue("second"))
            live.look()
            assert await served_by(port, known.client()) == "second"
            assert await said_back(reader, writer)
    assert live.problem == ""


async def test_files_that_cannot_be_used_leave_those_before_and_are_told(
    known: Authority, first: Issued, tmp_path: Path
) -> None:
    live = LiveTls(server_files(tmp_path, first))
    watch = TlsWatch([live])
    assert tls_conditions(watch) == {}
    async with echo(live.context) as port:
        for broken in (b"", b"no PEM", Path(first.certificate).read_bytes()[:200]):
            (tmp_path / "tls.crt").write_bytes(broken)
            live.look()
            condition = tls_conditions(watch)["certificate-unusable"]
            assert "listen.tls.certificate" in condition and "stay in use" in condition
            assert await served_by(port, known.client()) == "first"
        (tmp_path / "tls.crt").unlink()
        live.look()
        assert "No such file" in tls_conditions(watch)["certificate-unusable"]
        replace(tmp_path, first)
        live.look()
        assert tls_conditions(watch) == {}


async def test_a_key_of_another_certificate_is_told_as_that(
    known: Authority, first: Issued, tmp_path: Path
) -> None:
    live = LiveTls(server_files(tmp_path, first))
    shutil.copy(known.issue("other").key, tmp_path / "tls.key")
    live.look()
    assert "is not the key of" in live.problem


async def test_clients_without_a_certificate_of_the_authority_are_refused(
    known: Authority, first: Issued, tmp_path: Path
) -> None:
    live = LiveTls(server_files(tmp_path, first, ca=known.ca))
    async with echo(live.context) as port:
        assert await served_by(port, known.client(known.issue("caller"))) == "first"
        with pytest.raises((ssl.SSLError, OSError, asyncio.IncompleteReadError)):
            await served_by(port, known.client())


async def test_an_authority_that_is_taken_away_is_no_longer_trusted(
    known: Authority, first: Issued, tmp_path: Path
) -> None:
    trusted = tmp_path / "ca.pem"
    shutil.copy(known.ca, trusted)
    live = LiveTls(TlsFiles(setting="pools.edge.tls", ca=str(trusted)))
    async with echo(known.server(first)) as port:
        assert await served_by(port, live.context) == "first"
        shutil.copy(authority(tmp_path, "another").ca, trusted)
        live.look()
        with pytest.raises(ssl.SSLCertVerificationError):
            await served_by(port, live.context)


@pytest.mark.parametrize(("days", "words"), [(10, "days more"), (90, "")])
async def test_a_certificate_that_ends_soon_is_a_condition(
    known: Authority, tmp_path: Path, days: int, words: str
) -> None:
    watch = TlsWatch([LiveTls(server_files(tmp_path, known.issue(f"of{days}", days)))])
    assert watch.remaining()["listen.tls.certificate"] == pytest.approx(days * 86400, abs=120)
    assert words in tls_conditions(watch).get("certificate-ending", "")
    assert ("certificate-ending" in tls_conditions(watch)) == bool(words)
    assert time.time() < (watch.watched[0].ends or 0)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"certificate": "/nowhere/tls.crt"}, "listen.tls.certificate: /nowhere/tls.crt: No such"),
        ({"key": "/"}, "listen.tls.key: /: Is a directory"),
        ({"ca": "/dev/null"}, "listen.tls.client_ca: /dev/null has no certificates"),
        ({"key": "/dev/null"}, "listen.tls.certificate, listen.tls.key: "),
        ({"ca": "/dev/zero"}, "listen.tls.client_ca: /dev/zero: more than"),
    ],
)
async def test_at_the_start_a_file_that_cannot_be_used_is_an_error_by_its_setting(
    first: Issued, tmp_path: Path, files: dict[str, str], says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        LiveTls(server_files(tmp_path, first, **files))
    assert says in caught.value.message and "\n" not in caught.value.message
