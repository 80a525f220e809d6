"""The ONNX graph of GPT-2."""

from __future__ import annotations

from services.model_family.export.onnx_decoder import Graph


class Gpt2Graph(Graph):
    """GPT-2: learned positions, layer norms, a feed-forward layer without a gate."""

    embedding = "transformer.wte.weight"

    def decoder(self, x: str) -> str:
        x = self.add("Add", [x, self.place_embeddings()])
        for layer in range(self.shape.layers):
            prefix = f"transformer.h.{layer}"
            qkv = self.project(f"{prefix}.attn.c_attn", self.norm(f"{prefix}.ln_1", x))
            attended = self.project(f"{prefix}.attn.c_proj", self.attention(layer, [qkv]))
            x = self.add("Add", [x, attended])
            inner = self.project(f"{prefix}.mlp.c_fc", self.norm(f"{prefix}.ln_2", x))
            kind = "tanh" if self.shape.tanh_gelu else "none"
            inner = self.add("Gelu", [inner], approximate=kind)
            x = self.add("Add", [x, self.project(f"{prefix}.mlp.c_proj", inner)])
        return self.norm("transformer.ln_f", x)

    def place_embeddings(self) -> str:
        """[length, hidden]: those of the last positions of the mask."""
        second, first = self.constant("second.one", [1]), self.constant("first.axis", [0])
        total = self.add("Gather", [self.add("Shape", ["attention_mask"]), second])
        length = self.add("Gather", [self.add("Shape", ["input_ids"]), second])
        begin = self.add("Sub", [total, length])
        return self.add("Slice", [self.weight("transformer.wpe.weight"), begin, total, first])

    def norm(self, name: str, x: str) -> str:
        scale, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.add("LayerNormalization", [x, scale, bias], epsilon=self.shape.eps)

    def project(self, name: str, x: str) -> str:
        """By a matrix that is stored as [in, out]."""
        product = self.add("MatMul", [x, self.weight(f"{name}.weight")])
        return self.biased(product, [name])
