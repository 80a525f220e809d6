"""Writes reference.json: what the model's own authors' libraries make of some texts.

Run in the engine environment, which has torch and transformers, with the model's folder:
python -m tests.unit.gateway.adapters.embedding.reference FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

FILE = Path(__file__).with_name("reference.json")
TEXTS = [
    "What is 17 times 23?",
    "A device that solves arithmetic and word problems",
    "Reads a passage of text and answers questions about it",
    "Fix the bug in this Python function: def f(x): return x +",
    "Zürich — naïve café, 東京 and 🙂 in one line",
    "word " * 400,
]


def main(folder: str) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    found = []
    for text in TEXTS:
        inputs = tokenizer(text, return_tensors="pt", truncation=True, max_length=256)
        with torch.no_grad():
            states = model(**inputs).last_hidden_state[0]
        vector = torch.nn.functional.normalize(states.mean(dim=0), dim=0)
        found.append(
            json.dumps({"tokens": len(states), "vector": [round(x, 5) for x in vector.tolist()]})
        )
    FILE.write_text("[\n" + ",\n".join(found) + "\n]\n")


if __name__ == "__main__":
    main(sys.argv[1])
