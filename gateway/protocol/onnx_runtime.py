"""ONNX Runtime as every part imports it: it reports nothing of its use to its makers.

Its builds for Linux send what is loaded and run to Microsoft, unless they are told not to before
they are imported, and keep an id of the machine in the user's cache.
"""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

__all__ = ["onnxruntime"]
