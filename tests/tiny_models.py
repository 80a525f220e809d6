"""Tiny models of other architectures than the shipped family's, with random weights.

    python -m tests.tiny_models FOLDER

Run by the engine environment's Python. A family is a device's, an edge's and a cloud's model with
one tokenizer; the edge's weights are the device's, so that the device drafts what the edge says.
Models of Qwen3 have a chat template and GPT-2's have none, as on the hub.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

VOCABULARY = 512
CONTEXT = 256
END = "<|im_end|>"
TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message.role == 'tool' -%}{%- continue -%}{%- endif -%}"
    "{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false -%}"
    "{{ '<think>\\n\\n</think>\\n\\n' }}{%- endif -%}{%- endif -%}"
)
"""In the form of Qwen3's own: it leaves messages out, and looks whether names are defined."""

TEXTS = (
    "The quick brown fox jumps over the lazy dog, and nobody asks it why it does that.",
    "Add 417 and 325 digit by digit: 7+5=12, 1+2+1=4, 4+3=7. The answer is 742.",
    "def add(first, second):\n    return first + second\n",
)


def make(folder: Path) -> None:
    """Write `qwen3` and `gpt2` below `folder`, and further models for exports in `more`."""
    from transformers import GPT2Config, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

    sizes = {
        "vocab_size": VOCABULARY,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_attention_heads": 4,
        "max_position_embeddings": CONTEXT,
    }
    qwen3 = {**sizes, "num_key_value_heads": 2, "head_dim": 32, "rope_theta": 1e6}
    for name, layers in (("device", 1), ("cloud", 2)):
        tied = Qwen3Config(**qwen3, num_hidden_layers=layers, tie_word_embeddings=name == "device")
        write(folder / "qwen3" / f"tiny-qwen3-{name}", tied, template=TEMPLATE)
        gpt2 = GPT2Config(
            vocab_size=VOCABULARY, n_positions=CONTEXT, n_embd=64, n_layer=layers, n_head=2
        )
        write(folder / "gpt2" / f"tiny-gpt2-{name}", gpt2, template=None)
    for family in ("qwen3", "gpt2"):
        first = folder / family / f"tiny-{family}-device"
        shutil.copytree(first, folder / family / f"tiny-{family}-edge")
    llama3 = {
        "rope_type": "llama3",
        "rope_theta": 10_000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    }
    more = {
        "llama-untied": LlamaConfig(**sizes, num_key_value_heads=2, num_hidden_layers=2),
        "llama-biases": LlamaConfig(
            **sizes,
            num_key_value_heads=4,
            num_hidden_layers=2,
            attention_bias=True,
            mlp_bias=True,
            rope_parameters=llama3,
            tie_word_embeddings=True,
        ),
        "qwen2-bfloat16": Qwen2Config(**sizes, num_key_value_heads=2, num_hidden_layers=2),
        "mistral-files": MistralConfig(
            **sizes, num_key_value_heads=1, num_hidden_layers=2, sliding_window=None
        ),
        "mistral-window": MistralConfig(
            **sizes, num_key_value_heads=1, num_hidden_layers=1, sliding_window=32
        ),
    }
    for name, config in more.items():
        write(folder / "more" / name, config, template=TEMPLATE)


def write(folder: Path, config: Any, template: str | None) -> None:
    """A folder as on the hub: config.json, model.safetensors, the tokenizer's files."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(sum(map(ord, folder.name)))
    tokenizer = fast_tokenizer(template)
    config.eos_token_id = tokenizer.eos_token_id
    config.bos_token_id = config.pad_token_id = None
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            # As trained ones are: norms and biases that do something, logits that differ.
            if weights.dim() == 1:
                weights.add_(torch.randn_like(weights) * 0.2)
            else:
                weights.copy_(torch.randn_like(weights) * (0.3 if "embed" in name else 0.15))
    if "bfloat16" in folder.name:
        model = model.to(torch.bfloat16)
    model.save_pretrained(folder, max_shard_size=200_000 if "files" in folder.name else "5GB")
    tokenizer.save_pretrained(folder)


def fast_tokenizer(template: str | None) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", END, "<think>", "</think>"]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=special if template else special[:1],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    ends = {"eos_token": END if template else special[0], "pad_token": special[0]}
    whole = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **ends)
    if template:
        whole.chat_template = template
    return whole


def main(argv: Sequence[str]) -> None:
    make(Path(argv[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
