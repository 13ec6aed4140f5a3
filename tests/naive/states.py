"""Hidden Markov chains slowly and from their definitions: sums over every path, or over plain probabilities."""

from itertools import product
from math import exp, isnan, log, pi, sqrt

import numpy as np


def density(row, mean, variance):
    """Of one row of observations in one state; 1 where one of them is missing."""
    if any(isnan(value) for value in row):
        return 1.0
    out = 1.0
    for value, m, v in zip(row, mean, variance, strict=True):
        out *= exp(-((value - m) ** 2) / (2 * v)) / sqrt(2 * pi * v)
    return out


def filtered_by_paths(x, start, transition, mean, variance):
    """P(state of the last row | all rows): every path of states, weighed by its probability."""
    states = range(len(start))
    mass = [0.0] * len(start)
    for path in product(states, repeat=len(x)):
        p = start[path[0]]
        for t, row in enumerate(x):
            if t:
                p *= transition[path[t - 1]][path[t]]
            p *= density(row, mean[path[t]], variance[path[t]])
        mass[path[-1]] += p
    return [one / sum(mass) for one in mass]


def expectation_maximisation(x, lengths, start, transition, mean, variance, floor, steps):
    """Parameters and log-likelihoods of `steps` steps, by logarithms of unscaled forward and backward sums."""
    start, transition = np.array(start), np.array(transition)
    mean, variance = np.array(mean), np.array(variance)
    states, history = len(start), []
    blocks = np.split(x, np.cumsum(lengths)[:-1])
    for step in range(steps):
        total, gammas, moves, firsts = 0.0, [], np.zeros((states, states)), np.zeros(states)
        for block in blocks:
            n = len(block)
            logs = np.array([[log(density(row, mean[k], variance[k])) for k in range(states)] for row in block])
            with np.errstate(divide="ignore"):
                log_start, log_move = np.log(start), np.log(transition)
            forward, backward = np.empty((n, states)), np.zeros((n, states))
            forward[0] = log_start + logs[0]
            for t in range(1, n):
                for j in range(states):
                    forward[t, j] = np.logaddexp.reduce(forward[t - 1] + log_move[:, j]) + logs[t, j]
            for t in range(n - 2, -1, -1):
                for i in range(states):
                    backward[t, i] = np.logaddexp.reduce(log_move[i] + logs[t + 1] + backward[t + 1])
            whole = np.logaddexp.reduce(forward[-1])
            total += whole
            gamma = np.exp(forward + backward - whole)
            for t in range(n - 1):
                for i in range(states):
                    moves[i] += np.exp(forward[t, i] + log_move[i] + logs[t + 1] + backward[t + 1] - whole)
            gammas.append(gamma)
            firsts += gamma[0]
        history.append(total)
        gamma = np.concatenate(gammas)
        share = gamma.mean(axis=0)
        if step == steps - 1:
            break
        start, transition = firsts / len(blocks), moves / moves.sum(axis=1, keepdims=True)
        mean = (gamma.T @ x) / gamma.sum(axis=0)[:, None]
        variance = np.array([(gamma[:, k] @ (x - mean[k]) ** 2) / gamma[:, k].sum() for k in range(states)])
        variance = np.maximum(variance, floor)
    return start, transition, mean, variance, share, history
