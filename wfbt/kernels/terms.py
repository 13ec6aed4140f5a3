"""What a decision means for its order, in one pass over the market."""

from math import inf, isnan, sqrt

from wfbt.kernels._jit import njit


@njit
def fill_terms(out, open_ts, close_ts, arrive, sigma, volume, gauss, coefficient, horizon):
    """Fill (T, A) TERMS: arrivals, slides where there are draws, impact per √unit of `coefficient`; unknown stays 0.

    An order's slide is the diffusion over the part of its delay that lies within the row on which it is live.
    """
    rows, assets = out.shape
    delayed = len(gauss) > 0
    for t in range(rows):
        for a in range(assets):
            at = arrive[t, a]
            out[t, a]["arrive"] = at
            if delayed:
                # Mostly the next row; rows close in order, so the rest is found by halving.
                low, high = t + 1, rows
                if low < rows and close_ts[low] > at:
                    high = low
                while low < high:
                    middle = (low + high) // 2
                    if close_ts[middle] <= at:
                        low = middle + 1
                    else:
                        high = middle
                delay = max(at - open_ts[min(low, rows - 1)], 0)
                slide = sigma[t, a] * sqrt(delay / horizon) * gauss[t, a]
                if not isnan(slide):
                    out[t, a]["slide"] = slide
            if volume[t, a] > 0.0:
                impact = coefficient[a] * sigma[t, a] / sqrt(volume[t, a])
                if impact < inf:
                    out[t, a]["impact"] = impact
