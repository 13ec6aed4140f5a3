"""Networks with random weights, for tests that ask the same of several."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from wfbt.policy.network import Activation, Head, Layer, Network, Normaliser

NAMES = {one: one.name.lower() for one in Activation}


def network(
    sizes, activation=Activation.TANH, norm=False, seed=0, head=None, normalised=False, clip=10.0, scale=1.0
) -> Network:
    """Layers of `sizes` units, the first of them the inputs; the last is linear and has no norm."""
    rng = np.random.default_rng(seed)
    layers = []
    for inputs, outputs in pairwise(sizes):
        layer = Layer(
            weight=scale * rng.normal(size=(outputs, inputs)) / np.sqrt(inputs),
            bias=0.1 * rng.normal(size=outputs),
            activation=activation,
            norm_gain=rng.uniform(0.5, 1.5, outputs) if norm else None,
            norm_shift=0.1 * rng.normal(size=outputs) if norm else None,
        )
        layers.append(layer)
    layers[-1] = replace(layers[-1], activation=Activation.LINEAR, norm_gain=None, norm_shift=None)
    normaliser = None
    if normalised:
        normaliser = Normaliser(mean=rng.normal(size=sizes[0]), deviation=rng.uniform(0.2, 3, sizes[0]), clip=clip)
    return Network(layers=tuple(layers), head=head or Head(kind="q"), normaliser=normaliser)


def plain(network: Network) -> tuple[list[dict], dict | None]:
    """The same in Python's own numbers, for the naive twin."""
    layers = [
        {
            "weight": layer.weight.tolist(),
            "bias": layer.bias.tolist(),
            "activation": NAMES[layer.activation],
            "norm": layer.norm and [one.tolist() for one in layer.norm],
        }
        for layer in network.layers
    ]
    if network.normaliser is None:
        return layers, None
    one = network.normaliser
    return layers, {"mean": one.mean.tolist(), "deviation": one.deviation.tolist(), "clip": one.clip}
