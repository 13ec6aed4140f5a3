"""Hidden Markov chains with diagonal normal emissions: the forward filter, and the fit by expectation maximisation.

T rows of F observations, K states.  Forward weights are scaled to sum to 1 in every row, and likelihoods are taken
relative to the best state's, so nothing underflows.  Rabiner (1989), equations 90–99 (scaling) and 110–111 (blocks).
"""

from math import exp, isnan, log, pi

import numpy as np

from wfbt.kernels._jit import njit


@njit
def fill_likelihoods(out, shift, x, mean, variance):
    """Fill (T, K) with exp(log density − shift) and (T,) with the shift, the best state's log density.

    A row with a NaN, or beyond what any state can explain in 64 bits, says nothing of the state: 1 in each, shift 0.
    """
    rows, columns = x.shape
    states = len(mean)
    constant, precision = np.zeros(states), np.empty((states, columns))
    for k in range(states):
        for f in range(columns):
            constant[k] -= 0.5 * log(2.0 * pi * variance[k, f])
            precision[k, f] = 0.5 / variance[k, f]
    for t in range(rows):
        known = True
        for f in range(columns):
            if isnan(x[t, f]):
                known = False
        best = -np.inf
        for k in range(states):
            density = 0.0
            if known:
                density = constant[k]
                for f in range(columns):
                    gap = x[t, f] - mean[k, f]
                    density -= gap * gap * precision[k, f]
            out[t, k] = density
            best = max(best, density)
        known = best > -np.inf
        for k in range(states):
            out[t, k] = exp(out[t, k] - best) if known else 1.0
        shift[t] = best if known else 0.0


@njit
def fill_forward(weight, scale, likelihood, start, transition, begin, end):
    """Fill rows [begin, end) of `weight` (T, K) with P(state | rows begin … t), and of `scale` (T,) with its divisor.

    Σ log(scale) + shift is the log-likelihood of these rows.
    """
    states = len(start)
    for t in range(begin, end):
        total = 0.0
        for j in range(states):
            prior = start[j]
            if t > begin:
                prior = 0.0
                for i in range(states):
                    prior += weight[t - 1, i] * transition[i, j]
            weight[t, j] = prior * likelihood[t, j]
            total += weight[t, j]
        # Only where every likelihood but those of impossible states has underflowed: the prior stands.
        if total <= 0.0:
            total = 0.0
            for j in range(states):
                prior = start[j]
                if t > begin:
                    prior = 0.0
                    for i in range(states):
                        prior += weight[t - 1, i] * transition[i, j]
                weight[t, j] = prior
                total += prior
        scale[t] = total
        inverse = 1.0 / total
        for j in range(states):
            weight[t, j] *= inverse


@njit
def fit_chain(
    x, lengths, start, transition, mean, variance, occupancy, history, floor, gain, likelihood, shift, weight, scale
):
    """Improve `start` (K,), `transition` (K, K), `mean` and `variance` (K, F) in place; return how many steps it took.

    `lengths` (B,) are those of the blocks that x is made of, each a chain of its own.  `history` receives the
    log-likelihood of the parameters at each step, the last one that of those returned; the fit ends when a step gains
    no more than `gain`, or with history full.  No variance falls below `floor`, which is the optimum under that
    bound, so the likelihood never falls.  `occupancy` (K,) receives the expected share of rows in each state; the last
    four are scratch, (T, K), (T,), (T, K), (T,).
    """
    rows, columns = x.shape
    states = len(start)
    first = np.zeros(states)
    pairs = np.zeros((states, states))
    total = np.zeros(states)
    moved = np.zeros((states, columns))
    spread = np.zeros((states, columns))
    later, before, ahead = np.zeros(states), np.zeros(states), np.zeros(states)
    for step in range(len(history)):
        fill_likelihoods(likelihood, shift, x, mean, variance)
        first[:] = 0.0
        pairs[:] = 0.0
        total[:] = 0.0
        moved[:] = 0.0
        spread[:] = 0.0
        reached, begin = 0.0, 0
        for b in range(len(lengths)):
            end = begin + lengths[b]
            fill_forward(weight, scale, likelihood, start, transition, begin, end)
            later[:] = 1.0
            for t in range(end - 1, begin - 1, -1):
                reached += log(scale[t]) + shift[t]
                inverse = 1.0 / scale[t]
                for k in range(states):
                    share = weight[t, k] * later[k]
                    total[k] += share
                    if t == begin:
                        first[k] += share
                    for f in range(columns):
                        gap = x[t, f] - mean[k, f]
                        moved[k, f] += share * gap
                        spread[k, f] += share * gap * gap
                    ahead[k] = likelihood[t, k] * later[k] * inverse
                if t > begin:
                    for i in range(states):
                        summed = 0.0
                        for j in range(states):
                            onward = transition[i, j] * ahead[j]
                            pairs[i, j] += weight[t - 1, i] * onward
                            summed += onward
                        before[i] = summed
                    for k in range(states):
                        later[k] = before[k]
            begin = end
        history[step] = reached
        for k in range(states):
            occupancy[k] = total[k] / rows
        if step == len(history) - 1 or (step > 0 and reached - history[step - 1] <= gain):
            return step + 1
        for k in range(states):
            start[k] = first[k] / len(lengths)
            left = 0.0
            for j in range(states):
                left += pairs[k, j]
            if left > 0.0:
                for j in range(states):
                    transition[k, j] = pairs[k, j] / left
            if total[k] > 0.0:
                for f in range(columns):
                    shifted = moved[k, f] / total[k]
                    mean[k, f] += shifted
                    variance[k, f] = max(spread[k, f] / total[k] - shifted * shifted, floor)
    return len(history)
