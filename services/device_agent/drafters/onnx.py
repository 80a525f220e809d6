"""ONNX Runtime: the default drafter, as it has a wheel for every platform."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gateway.protocol.onnx_runtime import onnxruntime
from services.device_agent.drafters.cached_stream import CachedStream
from services.device_agent.drafters.port import DrafterFailed, Logits
from services.device_agent.drafters.step_time import StepTime

FIRST_CAPACITY = 256
SHARED_CACHE = "tierflow.shared_kv_cache"


class OnnxDrafter:
    """A decoder with a KV cache, as `model_family onnx` exports it from Llama checkpoints.

    Raises DrafterFailed for a file that is missing or has other inputs.
    """

    def __init__(self, file: Path, context: int, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Between two drafts the core belongs to others.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self.session = onnxruntime.InferenceSession(
                str(file), options, providers=["CPUExecutionProvider"]
            )
        except Exception as exc:
            raise DrafterFailed(f"{file} can't be loaded: {str(exc).splitlines()[0]}") from exc
        self.name = file.parent.name
        self.context = context
        self.least_burst = 1
        self.in_place = True
        self.one_context = False
        self._step_time = StepTime(1e-3)
        inputs = {entry.name: entry for entry in self.session.get_inputs()}
        self.caches = {
            name: name.replace("past_key_values", "present") for name in inputs if "past" in name
        }
        shared = self.session.get_modelmeta().custom_metadata_map.get(SHARED_CACHE)
        if shared != "1" or not {"input_ids", "attention_mask"} <= inputs.keys():
            raise DrafterFailed(
                f"{file} was not written by `python -m services.model_family onnx`: write it again"
            )
        _, self.heads, _, self.head = inputs[next(iter(self.caches))].shape

    @property
    def step_s(self) -> float:
        return self._step_time.seconds

    def start(self) -> OnnxStream:
        return OnnxStream(self, self._step_time)

    def close(self) -> None:
        """Nothing but memory is held."""


class OnnxStream(CachedStream):
    """A stream of OnnxDrafter.

    Its KV cache is one buffer a layer, used up to a length: rolling back costs nothing.
    """

    def __init__(self, drafter: OnnxDrafter, step_time: StepTime) -> None:
        super().__init__(drafter.context, step_time, [])
        self._drafter = drafter
        self._capacity = 0
        self._buffers: dict[str, Any] = {}

    def close(self) -> None:
        self._buffers.clear()
        self._capacity = 0
        self._written.clear()

    def _roll_back(self, kept: int) -> None:
        del self._written[kept:]

    def _read(self, tokens: list[int]) -> Logits:
        total = len(self._written) + len(tokens)
        if total > self._capacity:
            self._grow(total)
        session, binding = self._drafter.session, self._drafter.session.io_binding()
        binding.bind_cpu_input("input_ids", np.array([tokens], np.int64))
        binding.bind_cpu_input("attention_mask", np.ones((1, total), np.int64))
        binding.bind_output("logits")
        for past, present in self._drafter.caches.items():
            binding.bind_ortvalue_input(past, self._buffers[past])
            binding.bind_ortvalue_output(present, self._buffers[past])
        try:
            session.run_with_iobinding(binding)
        except Exception as exc:
            raise DrafterFailed(f"the drafter failed: {str(exc).splitlines()[0]}") from exc
        self._written += tokens
        logits: Logits = binding.get_outputs()[0].numpy()[0, -1]
        return logits

    def _grow(self, needed: int) -> None:
        capacity = max(FIRST_CAPACITY, self._capacity)
        while capacity < needed:
            capacity *= 2
        shape = (1, self._drafter.heads, capacity, self._drafter.head)
        for past in self._drafter.caches:
            grown = np.zeros(shape, np.float32)
            if past in self._buffers:
                grown[:, :, : self._capacity] = self._buffers[past].numpy()
            self._buffers[past] = onnxruntime.OrtValue.ortvalue_from_numpy(grown)
        self._capacity = capacity
