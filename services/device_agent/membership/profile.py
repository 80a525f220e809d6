"""What a device says of itself when it registers: from its model's folder, and from its flags."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from gateway.protocol import work

FILE = "tierflow-device.json"
MOST_BYTES = 1 << 16


class ProfileFailed(Exception):
    """Something of it can't be said; one line that names the field and what it must be."""


@dataclass(frozen=True)
class Profile:
    """`tags` holds tags and domains. `instance` tells this process from others with its token."""

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
) -> Profile:
    """`description` and `tags` replace what the folder's file says. Raises ProfileFailed."""
    said = _file(folder / FILE)
    whose = f"{folder / FILE}: "
    found = [*_texts(said, "tags", whose), *_texts(said, "domains", whose)]
    profile = Profile(
        _text(said, "description", whose) if description is None else description,
        tuple(dict.fromkeys(found if tags is None else tags)),
        model,
        owner,
        privacy,
        max_work,
        instance=secrets.token_hex(16),
    )
    try:
        # The frame's own bounds are the ones that count.
        msgspec.convert(msgspec.to_builtins(profile.register(work.Condition())), work.Register)
    except msgspec.ValidationError as exc:
        raise ProfileFailed(f"the device can't register like this: {exc}") from exc
    return profile


def describe_model(name: str, folder: Path, tokenizer: str) -> work.Model:
    """`tokenizer` is its fingerprint; the family is what the name begins with."""
    try:
        config = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError):
        config = {}
    return work.Model(name, name.partition("-")[0], _parameters(config), tokenizer)


def _parameters(config: Mapping[str, Any]) -> int:
    """Weights of a decoder as Llama has them, without biases; 0 where the numbers are missing."""
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


def _file(file: Path) -> Mapping[str, Any]:
    if not file.is_file():
        return {}
    try:
        if file.stat().st_size > MOST_BYTES:
            raise ProfileFailed(f"{file}: has more than {MOST_BYTES} bytes")
        said = json.loads(file.read_text())
    except (OSError, ValueError) as exc:
        raise ProfileFailed(f"{file}: can't be read as JSON: {type(exc).__name__}") from exc
    if not isinstance(said, dict):
        raise ProfileFailed(f"{file}: must be a JSON object with description, tags and domains")
    return said


def _text(said: Mapping[str, Any], name: str, whose: str) -> str:
    value = said.get(name, "")
    if not isinstance(value, str):
        raise ProfileFailed(f"{whose}{name}: must be a text")
    return value


def _texts(said: Mapping[str, Any], name: str, whose: str) -> list[str]:
    value = said.get(name, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ProfileFailed(f"{whose}{name}: must be a list of texts")
    return value
