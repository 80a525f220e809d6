"""From the settings to the pools: their endpoints, policies, profiles and secrets."""

from __future__ import annotations

import random
import ssl
from collections import defaultdict
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from pydantic import SecretStr

from gateway.adapters.endpoints.kubernetes import PoolPolicy
from gateway.adapters.engines.mailbox import Mailbox
from gateway.core.ports import EndpointSource
from gateway.core.routing.policies import VIRTUAL_MODELS
from gateway.core.routing.profile import build_profile
from gateway.core.routing.routing import Routing
from gateway.core.tier import Tier
from gateway.core.types import Endpoint, EndpointState, Limits, PoolState, Probe, ServedModel
from gateway.errors import ConfigError
from gateway.protocol.virtual_models import CASCADE, COLLECTIVE
from gateway.settings import Settings
from gateway.settings.pools import Pool

DEFAULT_PROFILE = "default"


def fixed_states(settings: Settings) -> list[EndpointState]:
    """Of the endpoints that are listed."""
    states = []
    for name, pool in settings.pools.items():
        models = _listed_models(pool) if pool.probe is Probe.ANSWERS else {}
        for url in pool.endpoints or ():
            endpoint = Endpoint(
                id=endpoint_id(url), url=url, pool=name, tier=pool.tier, probe=pool.probe
            )
            states.append(EndpointState(endpoint=endpoint, limits=_limits(pool), models=models))
    return states


def endpoint_id(url: str) -> str:
    """host:port; with the path where there is one, as gateways tell pools apart by it."""
    parts = urlsplit(url)
    return parts.netloc + parts.path


def pool_states(settings: Settings) -> list[PoolState]:
    return [
        PoolState(name=name, tier=pool.tier, hold_s=pool.hold_s, models=frozenset(pool.models))
        for name, pool in settings.pools.items()
    ]


def model_names(settings: Settings, endpoints: EndpointSource) -> Callable[[str], bool]:
    """Tells the names of models that are configured, served now or virtual from all others."""
    fixed = {*settings.family, *VIRTUAL_MODELS, *composed_models(settings)}

    def is_model(name: str) -> bool:
        return (
            name in fixed
            or any(name in state.models for state in endpoints.states())
            or any(name in pool.models or name in pool.labels for pool in endpoints.pools())
        )

    return is_model


def policies(
    settings: Settings, tls: Mapping[str, ssl.SSLContext] | None = None
) -> dict[str, PoolPolicy]:
    """Of the pools that discovery fills."""
    discovery = settings.discovery
    shared = discovery.mailbox_secret if discovery else None
    return {
        name: PoolPolicy(
            tier=pool.tier,
            limits=_limits(pool),
            mailbox_secret=_plain_secret(pool.mailbox_secret or shared),
            probe=pool.probe,
            https=pool.tls is not None,
            mailbox_tls=(tls or {}).get(name) if pool.mailbox_tls else None,
        )
        for name, pool in settings.pools.items()
        if pool.endpoints is None
    }


def default_policy(settings: Settings) -> PoolPolicy:
    """Of the pools that discovery finds and nobody configured: a pool's defaults. Their tier is
    their label's."""
    discovery = settings.discovery
    pool = Pool(tier=Tier.EDGE)
    return PoolPolicy(
        limits=_limits(pool),
        mailbox_secret=_plain_secret(discovery.mailbox_secret if discovery else None),
        probe=pool.probe,
    )


def routing(settings: Settings) -> Routing:
    """Raises ConfigError."""
    built = {name: build_profile(name, spec) for name, spec in settings.profiles.items()}
    for name, pool in settings.pools.items():
        if pool.profile not in built:
            raise ConfigError(
                f"pools.{name}.profile: unknown profile {pool.profile!r}; "
                f"known: {', '.join(sorted(built))}"
            )
    configured = {name: built[pool.profile] for name, pool in settings.pools.items()}
    # Pools that discovery finds beside these take the default.
    profiles = defaultdict(lambda: built[DEFAULT_PROFILE], configured)
    return Routing(profiles, settings.family, composed_models(settings))


def composed_models(settings: Settings) -> tuple[str, ...]:
    """The names of models whose answers the gateway composes of others'."""
    return (CASCADE, COLLECTIVE, *settings.chains.models)


def api_keys(settings: Settings) -> tuple[dict[str, str | None], str | None]:
    """Each configured pool's key, and the one of pools that discovery finds beside these."""
    discovery = settings.discovery
    shared = discovery.api_key if discovery else None
    keys = {
        name: _plain(pool.api_key or (shared if pool.endpoints is None else None))
        for name, pool in settings.pools.items()
    }
    return keys, _plain(shared)


def fixed_mailboxes(
    settings: Settings, tls: Mapping[str, ssl.SSLContext] | None = None
) -> dict[str, Mailbox]:
    """By endpoint."""
    discovery = {}
    for name, pool in settings.pools.items():
        secret = _plain_secret(pool.mailbox_secret) or b""
        for url, address in zip(pool.endpoints or (), pool.mailboxes, strict=False):
            id = endpoint_id(url)
            discovery[id] = Mailbox(
                endpoint_id=id,
                address=address,
                secret=secret,
                uniform=random.random,
                tls=(tls or {}).get(name) if pool.mailbox_tls else None,
            )
    return discovery


def _limits(pool: Pool) -> Limits:
    return Limits(pool.saturation_queue, pool.max_in_flight)


def _listed_models(pool: Pool) -> dict[str, ServedModel]:
    return {name: ServedModel(name) for name in pool.models}


def _plain(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def _plain_secret(secret: SecretStr | None) -> bytes | None:
    return secret.get_secret_value().encode() if secret else None
