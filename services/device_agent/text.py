"""Text to token ids and back, exactly as the servers do it: template, tokenizer, stop texts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from gateway.protocol.tokenizer import PROBE, fingerprint
from services.device_agent.chat_template import TemplateUnusable, read_template

CONTEXT_NAMES = (
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "seq_length",
    "n_ctx",
    "max_sequence_length",
)
"""How architectures name their longest text in config.json."""
UNSAID_CONTEXT = 4096
"""Tokens, where a config.json says nothing of it."""


class ModelFolderFailed(Exception):
    """The model's folder lacks a file; one line that names it."""


class TextModel:
    """The part of a model that is about text: tokenizer, chat template, end tokens, context.

    `fingerprint` is the tokenizer's, `context` and `vocabulary` count tokens. The defaults are
    those of generation_config.json: they hold where a request does not say, as in vLLM. Raises
    ModelFolderFailed.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise ModelFolderFailed(f"--model {folder}: there is no such folder")
        for name in ("tokenizer.json", "config.json"):
            if not (folder / name).is_file():
                raise ModelFolderFailed(f"--model {folder}: has no {name}")
        try:
            self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as exc:
            # The library raises nothing narrower.
            raise ModelFolderFailed(f"--model {folder}: tokenizer.json: {exc}") from exc
        config = _language_model(_json(folder / "config.json"))
        generation = _optional_json(folder / "generation_config.json")
        self.context = _context(config)
        self.vocabulary = int(config.get("vocab_size") or self.tokenizer.get_vocab_size())
        self.end_tokens = frozenset(_ids(config, "eos_token_id") + _ids(generation, "eos_token_id"))
        self.default_temperature = _number(generation, "temperature", 1.0)
        self.default_top_p = _number(generation, "top_p", 1.0)
        self.default_top_k = int(_number(generation, "top_k", 0))
        self.fingerprint = fingerprint(self.encode(PROBE))
        try:
            self._template = read_template(folder)
        except TemplateUnusable as exc:
            raise ModelFolderFailed(f"--model {folder}: {exc}") from exc

    @property
    def chats(self) -> bool:
        """Whether it has a chat template."""
        return self._template is not None

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def encode_prompt(self, text: str) -> list[int]:
        """The ids of a plain prompt, with those that the tokenizer puts before every text."""
        ids: list[int] = self.tokenizer.encode(text).ids
        return ids

    def encode_chat(self, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        """Raises ValueError where the template refuses the messages."""
        if self._template is None:
            raise ValueError("this model has no chat template; use /v1/completions")
        return self.encode(self._template.render([joined_text(message) for message in messages]))


class TextStream:
    """The text of an answer, from its token ids as they come.

    It holds back what might become a stop text. `stopped` is the stop text that ended the answer.
    """

    def __init__(self, tokenizer: Tokenizer, stops: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self._decoder = DecodeStream(skip_special_tokens=True)
        self._stops = tuple(stops)
        self._held_back = ""
        self.stopped: str | None = None

    def feed(self, token_ids: Sequence[int]) -> str:
        """The text that is certain now. After a stop text, nothing more comes."""
        for token_id in token_ids:
            if self.stopped is not None:
                return ""
            self._held_back += self._step(token_id)
            # As vLLM: of several, the one that is complete first, then the one named first.
            matches = [
                (self._held_back.find(stop) + len(stop), number, stop)
                for number, stop in enumerate(self._stops)
                if stop in self._held_back
            ]
            if matches:
                end, _, self.stopped = min(matches)
                text, self._held_back = self._held_back[: end - len(self.stopped)], ""
                return text
        certain = len(self._held_back) - self._possible_stop()
        text, self._held_back = self._held_back[:certain], self._held_back[certain:]
        return text

    def _step(self, token_id: int) -> str:
        try:
            return self._decoder.step(self._tokenizer, token_id) or ""
        except Exception as exc:
            # The decoder fails on ids that are not UTF-8 together; as vLLM does, begin again.
            if "Invalid prefix" not in str(exc):
                raise
            self._decoder = DecodeStream(skip_special_tokens=True)
            return self._decoder.step(self._tokenizer, token_id) or ""

    def finish(self) -> str:
        """The text that was held back, at the end of the answer."""
        text, self._held_back = self._held_back, ""
        return text

    def _possible_stop(self) -> int:
        """Length of the longest end of the text held back that begins a stop text."""
        longest = max((len(stop) - 1 for stop in self._stops), default=0)
        for length in range(min(longest, len(self._held_back)), 0, -1):
            if any(stop.startswith(self._held_back[-length:]) for stop in self._stops):
                return length
        return 0


def joined_text(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """The message with its parts of text joined, as the servers do. Raises ValueError."""
    parts = message.get("content")
    if parts is None or isinstance(parts, str):
        return message
    texts = [
        part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None
        for part in (parts if isinstance(parts, list) else [None])
    ]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("content must be a string, or a list of parts of type text")
    return {**message, "content": "\n".join(str(text) for text in texts)}


def _language_model(config: dict[str, Any]) -> dict[str, Any]:
    """Of a model for texts and images, the part that is about texts."""
    inner = config.get("text_config")
    return {**config, **inner} if isinstance(inner, dict) else config


def _context(config: Mapping[str, Any]) -> int:
    """Tokens."""
    named = (config.get(name) for name in CONTEXT_NAMES)
    return int(next(filter(None, named), UNSAID_CONTEXT))


def _optional_json(file: Path) -> dict[str, Any]:
    return _json(file) if file.is_file() else {}


def _json(file: Path) -> dict[str, Any]:
    """Raises ModelFolderFailed."""
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError) as exc:
        raise ModelFolderFailed(f"--model {file.parent}: {file.name} can't be read: {exc}") from exc
    if not isinstance(content, dict):
        raise ModelFolderFailed(f"--model {file.parent}: {file.name} must be a JSON object")
    return content


def _number(generation: Mapping[str, Any], name: str, unsaid: float) -> float:
    value = generation.get(name)
    return float(value) if isinstance(value, int | float) else unsaid


def _ids(config: Mapping[str, Any], name: str) -> list[int]:
    value = config.get(name)
    if value is None:
        return []
    return [int(token_id) for token_id in value] if isinstance(value, list) else [int(value)]
