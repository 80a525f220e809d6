"""The fields of a chat completion that the gateway knows of are those of the engine that is tested.

A release of vLLM with a further field fails here: whether virtual models do it is to be decided.
"""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

from gateway.protocol.requests.engine_fields import VLLM_CHAT
from tests.engines import engine_python

FOLDER = "import importlib.util as u; print(u.find_spec('vllm').submodule_search_locations[0])"
PROTOCOL = "entrypoints/openai/chat_completion/protocol.py"


def test_each_field_of_the_engines_chat_request_is_known() -> None:
    found = subprocess.run(
        [engine_python(), "-c", FOLDER], capture_output=True, text=True, check=True, timeout=60
    )
    source = (Path(found.stdout.strip()) / PROTOCOL).read_text()
    [body] = [
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef) and node.name == "ChatCompletionRequest"
    ]
    names = {
        line.target.id
        for line in body.body
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
    }
    assert {name for name in names if not name.startswith("_")} == VLLM_CHAT
