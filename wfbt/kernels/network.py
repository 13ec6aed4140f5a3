"""Small neural networks as a chain of dense layers over flat arrays: one observation, or many rows at once.

Arithmetic is in 32 bits, as the networks were trained: 64 bits take four times as long, and bring the numbers no nearer
to those of the trainer, which rounds as much itself.  Products are added in an order that the inputs alone fix, and
nothing is contracted or reordered, so a row has the same bits alone, in a batch and on any machine.
"""

from enum import IntEnum
from math import exp, inf, isfinite, isnan, nan, sqrt
from typing import NamedTuple

import numpy as np

from wfbt.kernels._jit import inlined, njit, part


class Activation(IntEnum):
    """What follows a layer's sum, element by element."""

    LINEAR = 0
    TANH = 1
    RELU = 2
    SILU = 3  # x·sigmoid(x)
    ELU = 4  # x above 0, exp(x) − 1 below


LAYER = np.dtype(
    [
        ("inputs", np.int64),
        ("outputs", np.int64),
        ("weight", np.int64),  # places in `Net.numbers`: (inputs, outputs), the transpose of what trainers store
        ("bias", np.int64),  # (outputs,)
        ("norm", np.int64),  # gain (outputs,), then shift (outputs,), of the layer norm before the activation; −1: none
        ("activation", np.int64),
    ],
    align=True,
)


class Net(NamedTuple):
    """A network as kernels read it.  Every array is C-contiguous and read-only.

    I inputs, O outputs, L layers.  `mean` 0, `scale` 1 and `clip` inf leave an observation as it is.
    """

    numbers: np.ndarray  # (P,) f4: all weights, biases, gains and shifts
    layers: np.ndarray  # (L,) LAYER
    normal: np.ndarray  # (2, I) f8: mean, and 1 / deviation, of the observations
    clip: float  # bound of a normalised observation; inf: none
    width: int  # most units of any layer, the inputs among them
    bounds: np.ndarray  # (2, O) f8: least and greatest action of a box; for other heads nobody reads it
    squash: bool  # a box's means go through tanh, and from −1..1 onto the bounds


EPSILON = 1e-5
"""What layer norms add to the variance, as trainers do unless told otherwise."""
ROWS = 32
"""Rows of a block: each weight is loaded once for all of them."""
LARGEST = float(np.finfo(np.float32).max)

# tanh's continued fraction x/(1 + x²/(3 + x²/(5 + …))) (Lambert 1761), cut after 13: a ratio of whole numbers.
P0, P1, P2 = np.float32(135135), np.float32(17325), np.float32(378)
Q1, Q2, Q3 = np.float32(62370), np.float32(3150), np.float32(28)
ZERO, QUARTER, HALF, ONE, TWO = np.array([0.0, 0.25, 0.5, 1.0, 2.0], np.float32)
ENOUGH = np.float32(4.5)  # tanh(9) is 1 to within 4e-8
NOTHING = np.float32(-18.0)  # x·sigmoid(x) is within 3e-7 of 0 below, and would grow with x where the fraction stops


@inlined
def tanh_fraction(h):
    """Numerator and denominator of tanh(h) of a float32, cut off at ±4.5, to 1e-8.  NaN is NaN."""
    if h > ENOUGH:
        h = ENOUGH
    elif h < -ENOUGH:
        h = -ENOUGH
    s = h * h
    return h * (P0 + s * (P1 + s * (P2 + s))), P0 + s * (Q1 + s * (Q2 + s * Q3))


@inlined
def tanh(x):
    """tanh of a float32, to 2e-7, by tanh(2h) = 2·tanh(h) / (1 + tanh²(h)): the fraction is good for half of x."""
    p, q = tanh_fraction(HALF * x)
    y = TWO * p * q / (q * q + p * p)
    if y > ONE:  # by a rounding
        y = ONE
    elif y < -ONE:
        y = -ONE
    return y


@inlined
def silu(x):
    """x·sigmoid(x) of a float32, with sigmoid(4h) = (1 + tanh(2h)) / 2 in one fraction, so that nothing cancels."""
    p, q = tanh_fraction(QUARTER * x)
    y = x * ((p + q) * (p + q) / (TWO * (q * q + p * p)))
    if x < NOTHING:
        y = ZERO
    return y


@inlined
def elu(x):
    """x above 0, exp(x) − 1 below, by exp(2h) − 1 = 2·tanh(h) / (1 − tanh(h)), which does not cancel there."""
    y = x
    if x < ZERO:
        t = tanh(HALF * x)
        y = TWO * t / (ONE - t)
    return y


@part
def activate(kind, y, rows, units):
    """Apply an Activation to y[:rows, :units]; a NaN stays one."""
    for r in range(rows):
        if kind == Activation.TANH:
            for j in range(units):
                y[r, j] = tanh(y[r, j])
        elif kind == Activation.RELU:
            for j in range(units):
                if y[r, j] < ZERO:
                    y[r, j] = ZERO
        elif kind == Activation.SILU:
            for j in range(units):
                y[r, j] = silu(y[r, j])
        elif kind == Activation.ELU:
            for j in range(units):
                y[r, j] = elu(y[r, j])


@part
def normalise(gain, shift, y, rows):
    """Layer norm of y[:rows] over its units: Ba, Kiros and Hinton (2016), equations 3–4, sums in 64 bits."""
    units = len(gain)
    for r in range(rows):
        total = 0.0
        for j in range(units):
            total += np.float64(y[r, j])
        mean = total / units
        squares = 0.0
        for j in range(units):
            gap = np.float64(y[r, j]) - mean
            squares += gap * gap
        inverse = 1.0 / sqrt(squares / units + EPSILON)
        for j in range(units):
            y[r, j] = np.float32((np.float64(y[r, j]) - mean) * inverse) * gain[j] + shift[j]


@part
def add_products(weight, bias, x, y, rows):
    """Fill y[:rows, :O] with bias + x·weight, weight (I, O).

    The inner loop runs over outputs, which are independent of each other, so the processor takes many at a time without
    leave to reorder.  Four inputs at once save three of four passes over y, and their pairs do not wait for it.
    """
    inputs, outputs = weight.shape
    for r in range(rows):
        for j in range(outputs):
            y[r, j] = bias[j]
    fours = inputs - inputs % 4
    for i in range(0, fours, 4):
        for r in range(rows):
            a, b, c, d = x[r, i], x[r, i + 1], x[r, i + 2], x[r, i + 3]
            for j in range(outputs):
                y[r, j] += (weight[i, j] * a + weight[i + 1, j] * b) + (weight[i + 2, j] * c + weight[i + 3, j] * d)
    for i in range(fours, inputs):
        for r in range(rows):
            a = x[r, i]
            for j in range(outputs):
                y[r, j] += weight[i, j] * a


@part
def run_layers(numbers, layers, scratch, rows):
    """Take the rows in scratch[0] through all layers; return which half of scratch (2, R, width) holds the outputs."""
    half = 0
    for k in range(len(layers)):
        inputs, outputs = layers[k]["inputs"], layers[k]["outputs"]
        at, norm = layers[k]["weight"], layers[k]["norm"]
        x, y = scratch[half], scratch[1 - half]
        weight = numbers[at : at + inputs * outputs].reshape(inputs, outputs)
        at = layers[k]["bias"]
        add_products(weight, numbers[at : at + outputs], x, y, rows)
        if norm >= 0:
            normalise(numbers[norm : norm + outputs], numbers[norm + outputs : norm + 2 * outputs], y, rows)
        activate(layers[k]["activation"], y, rows, outputs)
        half = 1 - half
    return half


@part
def take_in(observation, normal, clip, x):
    """Fill x (I,) with the normalised observation; False, and zeros, if any of it is not finite, or not in 32 bits.

    A clip would make an ordinary number of an infinity, and so would tanh.
    """
    known = True
    for i in range(len(observation)):
        value = (observation[i] - normal[0, i]) * normal[1, i]
        if value > clip:
            value = clip
        elif value < -clip:
            value = -clip
        if not (isfinite(observation[i]) and abs(value) <= LARGEST):
            known = False
            value = 0.0
        x[i] = value
    return known


@njit
def forward(net, observation, scratch, out):
    """Fill `out` (O,) with the logits, Q values or means of one observation (I,); NaN if any of it is not finite.

    `scratch` is (2, 1, net.width) float32, and may be used again for every bar; nothing is allocated.
    """
    outputs = len(out)
    if not take_in(observation, net.normal, net.clip, scratch[0, 0]):
        for j in range(outputs):
            out[j] = nan
        return
    half = run_layers(net.numbers, net.layers, scratch, 1)
    for j in range(outputs):
        out[j] = scratch[half, 0, j]


@njit
def forward_many(net, observations, out):
    """Fill `out` (N, O) with what `forward` says of each row of `observations` (N, I), bit for bit.

    Threads share the work by taking rows of their own.
    """
    total, outputs = out.shape
    scratch = np.zeros((2, ROWS, net.width), np.float32)
    known = np.zeros(ROWS, np.bool_)
    for first in range(0, total, ROWS):
        rows = min(ROWS, total - first)
        for r in range(rows):
            known[r] = take_in(observations[first + r], net.normal, net.clip, scratch[0, r])
        half = run_layers(net.numbers, net.layers, scratch, rows)
        for r in range(rows):
            for j in range(outputs):
                out[first + r, j] = scratch[half, r, j] if known[r] else nan


@njit
def choose(values):
    """Index of the greatest of `values` (O,), the first of equals; −1 if any of them is not finite."""
    best = 0
    for j in range(len(values)):
        if not isfinite(values[j]):
            return -1
        if values[j] > values[best]:
            best = j
    return best


@njit
def choose_many(values, out):
    """Fill `out` (N,) with `choose` of each row of `values` (N, O)."""
    for n in range(len(values)):
        out[n] = choose(values[n])


@part
def put_within(means, bounds, squash, out):
    """`bound`, for kernels."""
    known = True
    for k in range(len(means)):
        known = known and isfinite(means[k])
    for k in range(len(means)):
        low, high = bounds[0, k], bounds[1, k]
        value = means[k]
        if squash:
            value = low + 0.5 * (np.float64(tanh(np.float32(value))) + 1.0) * (high - low)
        out[k] = min(max(value, low), high) if known else nan


@njit
def bound(means, bounds, squash, out):
    """Fill `out` (K,) with a box's action: the means between `bounds` (2, K); NaN if any of them is not finite.

    Clipped; with `squash`, their tanh is stretched from −1..1 onto the bounds.  `means` may be `out`.
    """
    put_within(means, bounds, squash, out)


@njit
def bound_many(means, bounds, squash, out):
    """Fill `out` (N, K) with `bound` of each row of `means` (N, K)."""
    for n in range(len(means)):
        put_within(means[n], bounds, squash, out[n])


@njit
def softmax_many(logits, out):
    """Fill `out` (N, O) with exp(logit) over their sum in each row; NaN if any of the row is not finite."""
    rows, outputs = logits.shape
    for n in range(rows):
        most, known = -inf, True
        for j in range(outputs):
            known = known and isfinite(logits[n, j])
            most = max(most, logits[n, j])
        total = 0.0
        for j in range(outputs):
            out[n, j] = exp(logits[n, j] - most) if known else nan
            total += out[n, j]
        for j in range(outputs):
            out[n, j] /= total


@part
def target_of(table, action):
    """Target of an action by its index in `table`; NaN, which leaves the position alone, of −1."""
    return table[action] if action >= 0 else nan


@njit
def weigh(action, sized, dead_zone, out):
    """Fill `out` (A,) with signed fractions of equity: direction × size of each asset, 0 where not beyond `dead_zone`.

    `action` holds the A directions and then, if `sized`, the A sizes; directions are taken in −1..1, sizes in 0..1.
    NaN in either leaves that asset's position alone.
    """
    assets = len(out)
    for a in range(assets):
        direction, size = action[a], 1.0
        if sized:
            size = action[assets + a]
        if isnan(direction) or isnan(size):
            out[a] = nan
            continue
        target = min(max(direction, -1.0), 1.0) * min(max(size, 0.0), 1.0)
        out[a] = 0.0 if abs(target) <= dead_zone else target


@njit
def weigh_many(actions, sized, dead_zone, out):
    """Fill `out` (N, A) with `weigh` of each row of `actions`."""
    for n in range(len(actions)):
        weigh(actions[n], sized, dead_zone, out[n])
