"""The chat format, as text and as the Jinja template shipped with each checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

PAD, BOS, EOS = "<|pad|>", "<|bos|>", "<|eos|>"
SYSTEM, USER, ASSISTANT, END = "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"
SPECIAL_TOKENS = (PAD, BOS, EOS, SYSTEM, USER, ASSISTANT, END)

CHAT_TEMPLATE = """\
{{- bos_token -}}
{%- for message in messages -%}
{%- set role = message['role'] if message['role'] in ['system', 'assistant'] else 'user' -%}
{{- '<|' + role + '|>' + ((message['content'] or '') | trim('\\n')) + '<|end|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}
"""


class Message(TypedDict):
    """A message of a chat."""

    role: str
    content: str


def render(messages: Sequence[Message], add_generation_prompt: bool = False) -> str:
    """The text that the template gives for ``messages``, for use without Jinja."""
    parts = [BOS]
    for message in messages:
        role = message["role"] if message["role"] in ("system", "assistant") else "user"
        parts.append(f"<|{role}|>{message['content']}{END}")
    if add_generation_prompt:
        parts.append(ASSISTANT)
    return "".join(parts)


def ask(prompt: str) -> str:
    """A single question, ready for the model to answer."""
    return render([{"role": "user", "content": prompt}], add_generation_prompt=True)
