"""TLS at every end where the settings name files for it."""

from __future__ import annotations

import ssl
from contextlib import AsyncExitStack

from gateway.adapters.tls import LiveTls, TlsFiles, TlsWatch
from gateway.settings import Settings
from gateway.settings.state import parse_url
from gateway.settings.tls import ClientTls, ServerTls
from gateway.wiring.tasks import start_task

DAY_S = 24 * 3600.0
SOON_S = 14 * DAY_S
"""A certificate that ends within so long is a condition."""


class TlsEnds:
    """TLS of the gateway's listeners, of the engines' pools by name, and of Redis: those that the
    settings name. Raises ConfigError."""

    def __init__(self, settings: Settings) -> None:
        self._watched: list[LiveTls] = []
        self.watch = TlsWatch(self._watched)
        self.listen = self._server("listen.tls", settings.listen.tls)
        self.operations = self._server("operations.tls", settings.operations.tls)
        self.pools = {
            name: self._client(f"pools.{name}.tls", pool.tls)
            for name, pool in settings.pools.items()
            if pool.tls is not None
        }
        redis = settings.state.redis
        self.redis: ssl.SSLContext | None = None
        if redis is not None and (
            redis.tls.enabled
            or (redis.url is not None and parse_url(redis.url.get_secret_value()).tls)
        ):
            self.redis = self._client("state.redis.tls", redis.tls)

    async def start(self, stack: AsyncExitStack) -> None:
        """Look at the files from now on; `stack` ends it."""
        if self._watched:
            start_task(stack, "certificates", self.watch.run)

    def _server(self, setting: str, tls: ServerTls | None) -> ssl.SSLContext | None:
        if tls is None:
            return None
        files = TlsFiles(
            setting=setting,
            ca=tls.client_ca,
            certificate=tls.certificate,
            key=tls.key,
            server=True,
        )
        return self._live(files)

    def _client(self, setting: str, tls: ClientTls) -> ssl.SSLContext:
        files = TlsFiles(
            setting=setting,
            ca=tls.ca,
            certificate=tls.certificate,
            key=tls.key,
            check_hostname=tls.check_hostname,
        )
        return self._live(files)

    def _live(self, files: TlsFiles) -> ssl.SSLContext:
        live = LiveTls(files)
        self._watched.append(live)
        return live.context


def tls_conditions(watch: TlsWatch) -> dict[str, str]:
    """What is degraded, by name, in words for the operator."""
    conditions = {}
    if problems := watch.problems():
        conditions["certificate-unusable"] = (
            f"{'; '.join(problems)}; the files as they were before stay in use"
        )
    if ending := {name: left for name, left in watch.remaining().items() if left < SOON_S}:
        conditions["certificate-ending"] = "; ".join(
            f"{name}: valid for {left / DAY_S:.1f} days more" if left > 0 else f"{name}: has ended"
            for name, left in sorted(ending.items())
        )
    return conditions
