"""`vllm bench serve`, in vLLM's own process: its command reads the version of a package that has
another name for CPUs."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from vllm.benchmarks.serve import add_cli_args, main
from vllm.utils.argparse_utils import FlexibleArgumentParser

from tests.clients.programs.case import Answer, Case, answer_cases

REQUESTS = 3


def stream(case: Case) -> Answer:
    """It always streams."""
    parser = FlexibleArgumentParser()
    add_cli_args(parser)
    with tempfile.TemporaryDirectory() as folder:
        words = ["--backend", "openai-chat", "--endpoint", "/v1/chat/completions"]
        words += ["--base-url", case.url, "--model", case.model, "--tokenizer", case.tokenizer]
        words += ["--dataset-name", "random", "--random-input-len", "16", "--seed", "1"]
        words += ["--random-output-len", str(case.max_tokens), "--num-prompts", str(REQUESTS)]
        words += ["--max-concurrency", "1", "--disable-tqdm", "--temperature", "0"]
        words += ["--save-result", "--save-detailed"]
        words += ["--result-dir", folder, "--result-filename", "result.json"]
        main(parser.parse_args(words))
        result = json.loads(Path(folder, "result.json").read_text())
    return {
        "answered": result["completed"],
        "failed": result["failed"],
        "tokens": [result["input_lens"], result["output_lens"]],
        "texts": result["generated_texts"],
    }


if __name__ == "__main__":
    answer_cases({"stream": stream})
