"""Combinatorially symmetric cross-validation: each half of the blocks once in sample, the rest out of sample."""

from math import inf, nan, sqrt

from wfbt.kernels._jit import inlined, njit

STILL = 1e-12
"""A half whose variance is below this share of its mean square does not vary: what is left is rounding."""


@inlined
def ratio(total, squares, rows):
    """Sharpe ratio per observation from a sum and a sum of squares over `rows`; 0 where nothing varies."""
    spread = squares - total * total / rows
    if spread <= STILL * squares:
        return 0.0
    return total / rows / sqrt(spread / (rows - 1.0))


@njit
def split_halves(total, squares, rows, chosen, sums, ratios, rank, best, then, average):
    """Fill what the winner in sample did out of sample, for each of the C(S, S/2) choices of blocks.

    Parameters
    ----------
    total, squares : (S, N) float64
        Sum and sum of squares of each candidate's returns in each block.
    rows : (S,) float64
        Rows of each block.
    chosen : (S/2,) int64; sums : (2, 2, N) float64; ratios : (2, N) float64
        Scratch.
    rank : (C,) float64, out
        Rank of the winner out of sample, 1 the worst and N the best.  Equals share the mean of their ranks, and where
        several win in sample theirs are averaged.  The choices come in lexicographic order.
    best, then : (C,) float64, out
        The winner's Sharpe ratio in and out of sample; where several win, their mean out of sample.
    average : (C,) float64, out
        Mean Sharpe ratio of all candidates out of sample.
    """
    blocks, count = total.shape
    half = blocks // 2
    for i in range(half):
        chosen[i] = i
    for c in range(len(rank)):
        # Each half is summed from its own blocks: a whole less one half leaves rounding where nothing was traded.
        for n in range(count):
            sums[0, 0, n], sums[0, 1, n], sums[1, 0, n], sums[1, 1, n] = 0.0, 0.0, 0.0, 0.0
        inside, outside = 0.0, 0.0
        k = 0
        for s in range(blocks):
            side = 1
            if k < half and chosen[k] == s:
                side = 0
                k += 1
                inside += rows[s]
            else:
                outside += rows[s]
            for n in range(count):
                sums[side, 0, n] += total[s, n]
                sums[side, 1, n] += squares[s, n]
        top, everyone = -inf, 0.0
        for n in range(count):
            ratios[0, n] = ratio(sums[0, 0, n], sums[0, 1, n], inside)
            ratios[1, n] = ratio(sums[1, 0, n], sums[1, 1, n], outside)
            top = max(top, ratios[0, n])
            everyone += ratios[1, n]
        # Ranks are counted in halves, so that the median is met exactly.
        winners, doubled, later = 0, 0, 0.0
        seen, own = nan, 0
        for w in range(count):
            if ratios[0, w] != top:
                continue
            reached = ratios[1, w]
            if reached != seen:  # equals in sample are mostly one candidate under several names
                seen, own = reached, 1
                for n in range(count):
                    if ratios[1, n] < reached:
                        own += 2
                    elif ratios[1, n] == reached:
                        own += 1
            winners += 1
            doubled += own
            later += reached
        rank[c] = doubled / (2.0 * winners)
        best[c] = top
        then[c] = later / winners
        average[c] = everyone / count
        i = half - 1
        while i >= 0 and chosen[i] == blocks - half + i:
            i -= 1
        if i < 0:
            break
        chosen[i] += 1
        for j in range(i + 1, half):
            chosen[j] = chosen[j - 1] + 1
