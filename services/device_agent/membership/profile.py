"""The profile with which a device registers: from its model's folder, and from its flags."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from gateway.protocol.device_link import work

FILE = "tierflow-device.json"
MAX_BYTES = 1 << 16


class ProfileFailed(Exception):
    """A field of the profile is unusable; one line that names it and what it must be."""


@dataclass(frozen=True, kw_only=True)
class MemberProfile:
    """What a device tells the gateway about itself.

    `tags` holds tags and domains. `instance` tells this process from others with its token.
    """

    description: str
    tags: tuple[str, ...]
    model: work.Model
    owner: str = ""
    privacy: work.Privacy = "public"
    max_work: int = 2
    abilities: tuple[work.Kind, ...] = ("generate", "revise")
    instance: str = ""

    def register(self, condition: work.Condition) -> work.Register:
        return work.Register(
            instance=self.instance,
            description=self.description,
            models=[self.model],
            abilities=list(self.abilities),
            tags=list(self.tags),
            owner=self.owner,
            privacy=self.privacy,
            max_work=self.max_work,
            condition=condition,
        )


def read_profile(
    folder: Path,
    model: work.Model,
    *,
    description: str | None = None,
    tags: Sequence[str] | None = None,
    owner: str = "",
    privacy: work.Privacy = "public",
    max_work: int = 2,
) -> MemberProfile:
    """`description` and `tags` replace those of the folder's file. Raises ProfileFailed."""
    file = folder / FILE
    content = _content(file)
    described = _text(content, "description", file)
    tagged = [*_texts(content, "tags", file), *_texts(content, "domains", file)]
    profile = MemberProfile(
        description=described if description is None else description,
        tags=tuple(dict.fromkeys(tagged if tags is None else tags)),
        model=model,
        owner=owner,
        privacy=privacy,
        max_work=max_work,
        instance=secrets.token_hex(16),
    )
    try:
        # The wire has the bounds of all fields.
        msgspec.convert(msgspec.to_builtins(profile.register(work.Condition())), work.Register)
    except msgspec.ValidationError as exc:
        raise ProfileFailed(f"the device can't register with this profile: {exc}") from exc
    return profile


def describe_model(name: str, folder: Path, tokenizer: str) -> work.Model:
    """`tokenizer` is its fingerprint. The family is the name up to its first hyphen."""
    try:
        config = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError):
        config = {}
    return work.Model(
        name=name,
        family=name.partition("-")[0],
        parameters=_parameters(config),
        tokenizer=tokenizer,
    )


def _parameters(config: Mapping[str, Any]) -> int:
    """How many weights a decoder like Llama's has, without biases; 0 where numbers are missing."""
    try:
        hidden, layers = int(config["hidden_size"]), int(config["num_hidden_layers"])
        heads = int(config["num_attention_heads"])
        head = int(config.get("head_dim") or hidden // heads)
        groups = int(config.get("num_key_value_heads") or heads)
        attention = 2 * hidden * head * (heads + groups)
        layer = attention + 3 * hidden * int(config["intermediate_size"]) + 2 * hidden
        table = hidden * int(config["vocab_size"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return 0
    tables = table if config.get("tie_word_embeddings") else 2 * table
    return tables + layers * layer + hidden


def _content(file: Path) -> Mapping[str, Any]:
    """Of a JSON file; empty where there is none."""
    if not file.is_file():
        return {}
    try:
        if file.stat().st_size > MAX_BYTES:
            raise ProfileFailed(f"{file}: has more than {MAX_BYTES} bytes")
        content = json.loads(file.read_text())
    except (OSError, ValueError) as exc:
        raise ProfileFailed(f"{file}: can't be read as JSON: {type(exc).__name__}") from exc
    if not isinstance(content, dict):
        raise ProfileFailed(f"{file}: must be a JSON object with description, tags and domains")
    return content


def _text(content: Mapping[str, Any], name: str, file: Path) -> str:
    value = content.get(name, "")
    if not isinstance(value, str):
        raise ProfileFailed(f"{file}: {name}: must be a string")
    return value


def _texts(content: Mapping[str, Any], name: str, file: Path) -> list[str]:
    value = content.get(name, [])
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ProfileFailed(f"{file}: {name}: must be a list of strings")
    return value
