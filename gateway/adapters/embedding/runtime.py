"""Sessions of ONNX Runtime on one core, with 8-bit products that are right on every CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from gateway.adapters.embedding.quantization import LARGEST
from gateway.protocol.onnx_runtime import onnxruntime

OPSET, IR_VERSION = 23, 10
MICROSOFT = "com.microsoft"


def model(graph: onnx.GraphProto) -> onnx.ModelProto:
    imports = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=IR_VERSION)


def session(graph: onnx.GraphProto) -> onnxruntime.InferenceSession:
    """Raises what ONNX Runtime does for a graph that is none."""
    return _session(graph, exact=saturates(exact=False))


def saturates(exact: bool) -> bool:
    """Whether sums of products of 8-bit integers are wrong on this CPU where all are large. If not
    `exact`, they are on x86 without VNNI, where pairs of products are added in 16 bits."""
    terms, columns, largest = 64, 32, 255.0
    ends = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", terms]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", columns]),
    ]
    constants: dict[str, NDArray[Any]] = {
        "weights": np.full((terms, columns), LARGEST, np.int8),
        "scales": np.ones(columns, np.float32),
    }
    graph = helper.make_graph(
        [helper.make_node("DynamicQuantizeMatMul", ["x", *constants], ["y"], domain=MICROSOFT)],
        "largest",
        ends[:1],
        ends[1:],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    x = np.full((8, terms), largest, np.float32)
    (sums,) = _session(graph, exact).run(["y"], {"x": x})
    return not np.allclose(sums, terms * largest * LARGEST, rtol=0.01)


def _session(graph: onnx.GraphProto, exact: bool) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Between two texts the core belongs to others, and so does what the longest one needed.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = False
    # One would be kept for every length of texts.
    options.enable_mem_pattern = False
    # Slower by half, on any CPU: only where it must be.
    options.add_session_config_entry("session.x64quantprecision", str(int(exact)))
    return onnxruntime.InferenceSession(
        model(graph).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
