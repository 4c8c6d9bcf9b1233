"""A TA that is trained small and grows by width or depth, while its students keep their answers.

Self-expanding networks (Mitchell et al. 2023, arXiv 2307.04526) add units whose output is zero, so
that what the network computes does not change when they come. New neurons of an FFN begin so here.
A new layer cannot: in a post-norm transformer its norms remain, however little it adds; they are
set to change as little as they can. Only what is new trains, so that students, which have none of
it, answer as before to the last bit.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from nestling.models.nested.architecture import Architecture
from nestling.models.nested.spec import StudentSpec
from nestling.models.nested.trunk import NestedTransformer

Weights = dict[str, Tensor]


class Seedling:
    """A smaller TA inside a TA: some layers, a prefix of their FFNs.

    layers: indices of the TA's, increasing. ffn: neurons of each.
    """

    def __init__(self, whole: Architecture, layers: tuple[int, ...], ffn: int) -> None:
        self.whole, self.layers, self.ffn = whole, layers, ffn
        self.architecture = replace(whole, layers=len(layers), ffn=ffn)

    def inside(self, spec: StudentSpec) -> StudentSpec:
        """A student of the TA as one of the smaller TA. Raises ValueError where it is none."""
        layers = tuple(self.layers.index(layer) for layer in spec.layers)
        return replace(spec, layers=layers).validate(self.architecture)

    def cut(self, weights: Weights) -> Weights:
        """The smaller TA's weights, out of the TA's."""
        found = {name: w for name, w in weights.items() if not name.startswith("layers.")}
        for index, layer in enumerate(self.layers):
            for name, weight in _of_layer(weights, layer).items():
                found[f"layers.{index}.{name}"] = weight[_prefix(name, self.ffn)].clone()
        return found

    def grown(self, trained: Weights, initial: Weights) -> Weights:
        """A TA's weights, with the trained ones where the smaller TA has any.

        initial: the TA's, of which new neurons take what they read, and new layers all but what
        they put out, which is zero.
        """
        found = {name: weight.clone() for name, weight in initial.items()}
        found |= {name: w for name, w in trained.items() if not name.startswith("layers.")}
        for index, layer in enumerate(self.layers):
            found[f"layers.{layer}.down.weight"].zero_()
            for name, weight in _of_layer(trained, index).items():
                found[f"layers.{layer}.{name}"][_prefix(name, self.ffn)] = weight
        for layer in range(self.whole.layers):
            if layer not in self.layers:
                self._begin(found, layer)
        return found

    def _begin(self, weights: Weights, layer: int) -> None:
        """A new layer adds nothing, and its last norm gives what the norm before it gave."""
        before = f"layers.{layer - 1}.ffn_norm" if layer else "embedding_norm"
        for part in ("output", "down"):
            weights[f"layers.{layer}.{part}.weight"].zero_()
            weights[f"layers.{layer}.{part}.bias"].zero_()
        weights[f"layers.{layer}.attention_norm.weight"].fill_(1.0)
        weights[f"layers.{layer}.attention_norm.bias"].zero_()
        for kind in ("weight", "bias"):
            weights[f"layers.{layer}.ffn_norm.{kind}"] = weights[f"{before}.{kind}"].clone()

    def freeze(self, model: NestedTransformer) -> None:
        """Let only what is new in a grown TA train. Needs a phase without weight decay."""
        last = model.architecture.layers - 1
        model.requires_grad_(False)
        for layer in range(self.whole.layers):
            for name, p in model.block(layer).named_parameters():
                if layer not in self.layers:
                    p.requires_grad_((layer, name) != (last, "key.bias"))  # has no gradient
                elif self.ffn < self.whole.ffn and name in ("up.weight", "up.bias", "down.weight"):
                    new = torch.ones_like(p)
                    new[_prefix(name, self.ffn)] = 0
                    p.requires_grad_().register_hook(new.mul)  # type: ignore[no-untyped-call]


def _of_layer(weights: Weights, layer: int) -> Weights:
    start = f"layers.{layer}."
    return {n.removeprefix(start): w for n, w in weights.items() if n.startswith(start)}


def _prefix(name: str, ffn: int) -> tuple[slice, ...]:
    """What a narrower FFN has of a weight."""
    if name in ("up.weight", "up.bias"):
        return (slice(ffn),)
    return (slice(None), slice(ffn)) if name == "down.weight" else (slice(None),)
