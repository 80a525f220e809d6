"""What is shipped beside the settings' own entries: routing profiles, and templates of prompts."""

from __future__ import annotations

from importlib import resources
from typing import Any

import yaml


def shipped_profiles() -> dict[str, dict[str, Any]]:
    """Routing profiles by name, as `gateway.core.routing.profile.build_profile` reads them."""
    return _loaded("gateway.core.routing", "profiles.yaml")


def shipped_templates() -> dict[str, Any]:
    """`templates` by id, name@version, and the `rules` that choose among them."""
    return _loaded("gateway.core.collective", "templates.yaml")


def _loaded(package: str, name: str) -> dict[str, Any]:
    text = resources.files(package).joinpath(name).read_text()
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded
