"""Encoders of BERT's kind: from Hugging Face's names to ours, and a student alone back again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..nested.architecture import Architecture
from ..nested.head_spec import HeadSpec
from ..nested.shapes import head_weight
from ..nested.spec import StudentSpec

if TYPE_CHECKING:
    from torch import Tensor

ACTIVATIONS = {"gelu": "gelu", "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh",
               "relu": "relu", "silu": "silu"}  # fmt: skip
"""Hugging Face's `hidden_act` in our words."""

LAYER_NAMES = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "ffn_norm": "output.LayerNorm",
}
"""Parts of a layer: our name to Hugging Face's."""


@dataclass(frozen=True)
class EncoderFamily:
    """What one family of such encoders has of its own, and how its checkpoints become a TA.

    name: Hugging Face's `model_type`. model: its class that classifies. prefix: of the encoder's
    weights in it. pooler, classifier: the head's weights in it. token_types: whether its models
    take `token_type_ids` beside the tokens. position_offset: the position of the first token.
    special_tokens: ids in its config.
    """

    name: str
    model: str
    prefix: str
    pooler: str
    classifier: str
    token_types: bool
    position_offset: int
    special_tokens: Mapping[str, int]

    def architecture(self, config: dict[str, Any], head: HeadSpec) -> Architecture:
        """The TA at full size, from a config, with one head. Raises ValueError for what is not
        served.
        """
        if config.get("position_embedding_type", "absolute") != "absolute":
            raise ValueError(
                f"position_embedding_type: {config['position_embedding_type']!r} is not 'absolute'"
            )
        if config.get("is_decoder"):
            raise ValueError("is_decoder: true; only bidirectional encoders are served")
        if (activation := config["hidden_act"]) not in ACTIVATIONS:
            raise ValueError(f"hidden_act: {activation!r} is none of {', '.join(ACTIVATIONS)}")
        dim, heads = config["hidden_size"], config["num_attention_heads"]
        return Architecture(
            family=self.name,
            vocabulary=config["vocab_size"],
            dim=dim,
            layers=config["num_hidden_layers"],
            attention_heads=heads,
            head_dim=dim // heads,
            ffn=config["intermediate_size"],
            max_tokens=config["max_position_embeddings"] - self.position_offset,
            activation=ACTIVATIONS[activation],
            norm_eps=config["layer_norm_eps"],
            heads=(head,),
            token_types=self._types(config) if head.inputs == "pair" else 1,
        )

    def import_weights(
        self, weights: dict[str, Tensor], architecture: Architecture
    ) -> dict[str, Tensor]:
        """Ours from those of the model, or of the encoder alone; a head that is not there is left
        out.
        """
        found = {name.removeprefix(self.prefix): tensor for name, tensor in weights.items()}
        embeddings, types = "embeddings.", architecture.token_types
        imported = {
            "tokens": found[embeddings + "word_embeddings.weight"],
            "positions": found[embeddings + "position_embeddings.weight"][self.position_offset :],
            "segment": found[embeddings + "token_type_embeddings.weight"][:types].squeeze(0),
            "embedding_norm.weight": found[embeddings + "LayerNorm.weight"],
            "embedding_norm.bias": found[embeddings + "LayerNorm.bias"],
        }
        for layer in range(architecture.layers):
            for ours, theirs in LAYER_NAMES.items():
                for kind in ("weight", "bias"):
                    name = f"encoder.layer.{layer}.{theirs}.{kind}"
                    imported[f"layers.{layer}.{ours}.{kind}"] = found[name]
        for ours, theirs in self._head(architecture.head()).items():
            if (name := theirs.removeprefix(self.prefix)) in found:
                imported[ours] = found[name]
        return imported

    def config(self, spec: StudentSpec, a: Architecture) -> dict[str, Any]:
        """Of a student alone.

        Of one that `check_uniform` refuses, the head count is only near the truth: what runs a
        graph reads labels and inputs from a config, and builds no layers.
        """
        theirs = {ours: name for name, ours in ACTIVATIONS.items() if name != "gelu_pytorch_tanh"}
        return {
            "vocab_size": a.vocabulary,
            "hidden_size": spec.dim,
            "num_hidden_layers": len(spec.layers),
            "num_attention_heads": max(1, spec.dim // a.head_dim),
            "intermediate_size": max(spec.ffn),
            "hidden_act": theirs[a.activation],
            "max_position_embeddings": a.max_tokens + self.position_offset,
            "type_vocab_size": a.token_types,
            "layer_norm_eps": a.norm_eps,
            "id2label": {str(i): label for i, label in enumerate(a.head().labels)},
            "label2id": {label: i for i, label in enumerate(a.head().labels)},
            "problem_type": f"{a.head().task}_classification",
            "torch_dtype": "float32",
            "model_type": self.name,
            "architectures": [self.model],
            **self.special_tokens,
        }

    def export(
        self, weights: dict[str, Tensor], spec: StudentSpec, a: Architecture
    ) -> dict[str, Tensor]:
        """A student alone, by the model's names. Raises ValueError as `check_uniform` does."""
        check_uniform(spec, a)
        d, inner, ffn = spec.dim, spec.dim, max(spec.ffn)
        embeddings = "embeddings."
        exported = {
            embeddings + "word_embeddings.weight": weights["tokens"][:, :d],
            embeddings + "position_embeddings.weight": _shifted(
                weights["positions"][:, :d], self.position_offset
            ),
            embeddings + "token_type_embeddings.weight": weights["segment"].view(
                a.token_types, a.dim
            )[:, :d],
            embeddings + "LayerNorm.weight": weights["embedding_norm.weight"][:d],
            embeddings + "LayerNorm.bias": weights["embedding_norm.bias"][:d],
        }
        for position, layer in enumerate(spec.layers):
            h, f = spec.attention_heads[position] * a.head_dim, spec.ffn[position]
            kept = {
                "query": (h, d), "key": (h, d), "value": (h, d), "output": (d, h),
                "up": (f, d), "down": (d, f), "attention_norm": (d,), "ffn_norm": (d,),
            }  # fmt: skip
            padded = {"query": (inner, d), "key": (inner, d), "value": (inner, d),
                      "output": (d, inner), "up": (ffn, d), "down": (d, ffn)}  # fmt: skip
            for ours, theirs in LAYER_NAMES.items():
                target = f"encoder.layer.{position}.{theirs}."
                source, part = f"layers.{layer}.{ours}.", kept[ours]
                shape = padded.get(ours, part)
                exported[target + "weight"] = _fit(weights[source + "weight"], part, shape)
                exported[target + "bias"] = _fit(weights[source + "bias"], part[:1], shape[:1])
        exported = {self.prefix + name: tensor for name, tensor in exported.items()}
        corners = {"pooler.weight": (d, d), "pooler.bias": (d,), "classifier.weight": (None, d)}
        for ours, theirs in self._head(a.head()).items():
            corner = corners.get(ours.partition(a.head().name + ".")[2], ())
            exported[theirs] = weights[ours][tuple(slice(n) for n in corner)]
        return exported

    def _types(self, config: dict[str, Any]) -> int:
        """Types of tokens that a pair has: two, unless the models of the family know one."""
        return min(2, config.get("type_vocab_size", 2)) if self.token_types else 1

    def _head(self, head: HeadSpec) -> dict[str, str]:
        """Our names of a head's weights to the model's."""
        return {
            head_weight(head.name, f"{ours}.{kind}"): f"{theirs}.{kind}"
            for ours, theirs in (("pooler", self.pooler), ("classifier", self.classifier))
            for kind in ("weight", "bias")
        }


def check_uniform(spec: StudentSpec, a: Architecture) -> None:
    """Raises ValueError for a student that a BERT model of `transformers` cannot be.

    A BERT config has one head count, tied to the model dimension, and one FFN width. Missing
    heads and neurons become zeros, which changes nothing; a narrower model dimension cannot be
    padded, because the norms would average over the padding.
    """
    if spec.dim % a.head_dim:
        raise ValueError(
            f"dim: {spec.dim} is no multiple of the head dimension {a.head_dim}, "
            "and a Hugging Face config cannot say a head count that does not divide the width"
        )
    if max(spec.attention_heads) > spec.dim // a.head_dim:
        raise ValueError(
            f"attention_heads: {max(spec.attention_heads)} of {a.head_dim} are wider than the "
            f"model dimension {spec.dim}, which a Hugging Face config cannot say"
        )


def _shifted(rows: Tensor, offset: int) -> Tensor:
    """With so many rows of zeros before them."""
    result = rows.new_zeros((offset + len(rows), rows.shape[1]))
    result[offset:] = rows
    return result


def _fit(weight: Tensor, kept: tuple[int, ...], shape: tuple[int, ...]) -> Tensor:
    """The leading part of a weight, with zeros up to a shape."""
    result = weight.new_zeros(shape)
    corner = tuple(slice(n) for n in kept)
    result[corner] = weight[corner]
    return result
