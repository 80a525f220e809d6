"""The name under which a specialist's export calls for its graph."""

from services.model_family.export.onnx_graph import convert_folder as link_folder

__all__ = ["link_folder"]
