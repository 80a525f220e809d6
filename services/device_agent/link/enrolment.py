"""The token of a device: read from its file, or obtained once for an enrolment token."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from gateway.protocol.device_link.devices import ENROL_PATH
from services.device_agent.link.gateway_tls import BY_THE_SYSTEM, GatewayTls, TlsFilesUnusable
from services.device_agent.link.greeting import MAX_REASON, TokenMissing, reason_in

TIMEOUT_S = 10.0


class EnrolmentFailed(TokenMissing):
    """The gateway did not enrol the device; one line. `final`: another try would end the same."""

    def __init__(self, message: str, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


async def enrol(
    *,
    gateways: Sequence[str],
    enrolment_token: str,
    name: str | None,
    file: Path,
    attempt: str | None = None,
    tls: GatewayTls = BY_THE_SYSTEM,
) -> str:
    """Exchanges the enrolment token, and writes the device's token to `file`, for its owner only.

    `name` None: the operator's choice, or else one that the gateway makes up. `attempt` stays the
    same over several tries, so that one whose answer was lost can be repeated; None: a new one.
    Of `gateways`, the next one is asked where one can't be reached.
    Returns the device's name at the gateway. Raises EnrolmentFailed.
    """
    new = _new_file(file)  # first: a file that can't be written must not use the token up
    try:
        attempt = attempt or new_attempt()
        device, token = await _exchange(gateways, enrolment_token, name, attempt, tls)
        new.write_text(token + "\n")
        os.replace(new, file)
    except OSError as exc:
        raise EnrolmentFailed(f"{file}: {exc.strerror}", final=True) from exc
    finally:
        new.unlink(missing_ok=True)
    return device


def _new_file(file: Path) -> Path:
    """An empty file beside `file` that only its owner can read. Raises EnrolmentFailed."""
    new = file.with_name(file.name + ".new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        new.unlink(missing_ok=True)
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as exc:
        raise EnrolmentFailed(f"{file} can't be written: {exc.strerror}", final=True) from exc
    return new


def new_attempt() -> str:
    return secrets.token_hex(16)


async def _exchange(
    gateways: Sequence[str], enrolment_token: str, name: str | None, attempt: str, tls: GatewayTls
) -> tuple[str, str]:
    body = {"enrolment_token": enrolment_token, "attempt": attempt}
    body |= {"name": name} if name else {}
    answer = await _post(gateways, body, tls)
    if answer.status_code < 300:
        try:
            content: Any = answer.json()
            device, token = content["device"], content["device_token"]
            if not (isinstance(token, str) and token.isascii() and token.isprintable() and token):
                raise ValueError
            return str(device)[:MAX_REASON], token
        except (ValueError, KeyError, TypeError):
            pass
    reason = reason_in(answer.content) or f"it answered {answer.status_code}"
    final = 400 <= answer.status_code < 500 and answer.status_code not in (408, 429)
    raise EnrolmentFailed(f"the gateway does not enrol this device: {reason}", final)


async def _post(gateways: Sequence[str], body: dict[str, str], tls: GatewayTls) -> httpx.Response:
    """The answer of the first gateway that gives one. Raises EnrolmentFailed."""
    problem = "no gateway is named"
    for gateway in gateways:
        try:
            async with httpx.AsyncClient(
                timeout=TIMEOUT_S, trust_env=False, verify=tls.context()
            ) as client:
                async with asyncio.timeout(TIMEOUT_S):
                    return await client.post(gateway + ENROL_PATH, json=body)
        except TlsFilesUnusable as exc:
            problem = str(exc)
        except (httpx.HTTPError, TimeoutError) as exc:
            problem = type(exc).__name__
    raise EnrolmentFailed(f"the gateway can't be reached to enrol: {problem}")


class DeviceToken:
    """The token of this device, read again for each connection.

    `token`, where it is not empty, wins over `file`. With an enrolment token, a missing file is
    written.
    """

    def __init__(
        self,
        *,
        token: str,
        file: Path | None,
        gateways: Sequence[str],
        enrolment_token: str,
        name: str | None,
        tls: GatewayTls = BY_THE_SYSTEM,
    ) -> None:
        self._tls = tls
        self._token = token
        self._file = file
        self._gateways = gateways
        self._enrolment_token = enrolment_token
        self._name = name
        self._refused: EnrolmentFailed | None = None
        self._attempt = new_attempt()

    async def token(self) -> str:
        """Raises TokenMissing."""
        if self._token:
            return self._token
        if self._file is None:
            raise TokenMissing("the agent has no device token")
        if token := read_token(self._file):
            return token
        if self._refused is not None:
            raise self._refused
        try:
            await enrol(
                gateways=self._gateways,
                enrolment_token=self._enrolment_token,
                name=self._name,
                file=self._file,
                attempt=self._attempt,
                tls=self._tls,
            )
        except EnrolmentFailed as failed:
            # To go on with a token that was refused would be guessing.
            self._refused = failed if failed.final else None
            raise
        return read_token(self._file)


def read_token(file: Path) -> str:
    """Empty where there is none. Raises TokenMissing."""
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not text"
        raise TokenMissing(f"the token file {file}: {reason}") from exc
