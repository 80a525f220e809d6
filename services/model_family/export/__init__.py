"""Export: members as Llama checkpoints and as ONNX graphs, each checked against its training."""
