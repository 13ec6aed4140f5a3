"""A network once more, slowly, number by number in 64 bits, from the definitions: it imports nothing from wfbt."""

from collections.abc import Sequence
from math import exp, isfinite, sqrt, tanh

NAN = float("nan")


def activation(name: str, x: float) -> float:
    """One of linear, tanh, relu, silu (x·sigmoid(x)) and elu (α = 1)."""
    if name == "linear":
        return x
    if name == "tanh":
        return tanh(x)
    if name == "relu":
        return x if x > 0 else 0.0
    if name == "silu":
        return x / (1 + exp(-x)) if x > 0 else x * exp(x) / (1 + exp(x))
    if name == "elu":
        return x if x > 0 else exp(x) - 1
    raise ValueError(name)


def layer_norm(x: Sequence[float], gain: Sequence[float], shift: Sequence[float]) -> list[float]:
    """(x − mean) / √(variance + 1e-5), variance over all of x, then gain and shift."""
    mean = sum(x) / len(x)
    variance = sum((one - mean) ** 2 for one in x) / len(x)
    return [(one - mean) / sqrt(variance + 1e-5) * g + s for one, g, s in zip(x, gain, shift, strict=True)]


def values(layers: Sequence[dict], observation: Sequence[float], normaliser: dict | None = None) -> list[float]:
    """Outputs of layers {weight: rows by output, bias, activation, norm: (gain, shift) or None}."""
    if not all(isfinite(one) for one in observation):
        return [NAN] * len(layers[-1]["bias"])
    x = list(observation)
    if normaliser is not None:
        scaled = [(one - m) / d for one, m, d in zip(x, normaliser["mean"], normaliser["deviation"], strict=True)]
        x = [min(max(one, -normaliser["clip"]), normaliser["clip"]) for one in scaled]
    for layer in layers:
        sums = []
        for weights, bias in zip(layer["weight"], layer["bias"], strict=True):
            sums.append(sum(w * one for w, one in zip(weights, x, strict=True)) + bias)
        if layer["norm"] is not None:
            sums = layer_norm(sums, *layer["norm"])
        x = [activation(layer["activation"], one) for one in sums]
    return x


def choice(outputs: Sequence[float]) -> int:
    """Place of the greatest, the first of equals; −1 if any is not finite."""
    return outputs.index(max(outputs)) if all(isfinite(one) for one in outputs) else -1


def boxed(means: Sequence[float], low: Sequence[float], high: Sequence[float], squash: bool) -> list[float]:
    """A continuous action: the means cut to their bounds, or their tanh spread over them."""
    if not all(isfinite(one) for one in means):
        return [NAN] * len(means)
    if squash:
        return [a + (tanh(one) + 1) / 2 * (b - a) for one, a, b in zip(means, low, high, strict=True)]
    return [a if one < a else b if one > b else one for one, a, b in zip(means, low, high, strict=True)]


def softmax(logits: Sequence[float]) -> list[float]:
    """exp of each over the sum of all."""
    if not all(isfinite(one) for one in logits):
        return [NAN] * len(logits)
    return [1 / sum(exp(other - one) for other in logits) for one in logits]


def weighed(action: Sequence[float], assets: int, sized: bool, dead_zone: float) -> list[float]:
    """Direction × size of each asset, none of them beyond 1, and flat up to the dead zone."""
    out = []
    for a in range(assets):
        direction, size = action[a], action[assets + a] if sized else 1.0
        if direction != direction or size != size:
            out.append(NAN)
            continue
        target = sorted([-1.0, direction, 1.0])[1] * sorted([0.0, size, 1.0])[1]
        out.append(target if abs(target) > dead_zone else 0.0)
    return out
