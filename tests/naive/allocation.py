"""Weights of sleeves, slowly and in plain Python: no array, no library, nothing shared with wfbt."""

from math import sqrt


def covariance(rows):
    """Sample covariance, ddof 1, of a list of days, each a list of returns."""
    n, m = len(rows), len(rows[0])
    mean = [sum(row[i] for row in rows) / n for i in range(m)]
    return [[sum((r[i] - mean[i]) * (r[j] - mean[j]) for r in rows) / (n - 1) for j in range(m)] for i in range(m)]


def inverse_volatility(cov):
    inverse = [1 / sqrt(cov[i][i]) for i in range(len(cov))]
    return [one / sum(inverse) for one in inverse]


def variance(cov, w):
    return sum(w[i] * w[j] * cov[i][j] for i in range(len(w)) for j in range(len(w)))


def shrunk(rows):
    """Ledoit and Wolf (2004), section 3.3: towards the mean variance, with moments about n."""
    n, m = len(rows), len(rows[0])
    mean = [sum(row[i] for row in rows) / n for i in range(m)]
    x = [[row[i] - mean[i] for i in range(m)] for row in rows]
    s = [[sum(r[i] * r[j] for r in x) / n for j in range(m)] for i in range(m)]
    mu = sum(s[i][i] for i in range(m)) / m
    target = [[mu if i == j else 0.0 for j in range(m)] for i in range(m)]
    d2 = sum((s[i][j] - target[i][j]) ** 2 for i in range(m) for j in range(m))
    b2 = sum(sum((r[i] * r[j] - s[i][j]) ** 2 for i in range(m) for j in range(m)) for r in x) / n**2
    share = min(b2, d2) / d2 if d2 > 0 else 0.0
    return [[share * target[i][j] + (1 - share) * s[i][j] for j in range(m)] for i in range(m)]


def min_variance(cov, cap, steps):
    """The best long-only mix of two or three, of all on a grid that sum to 1."""
    best, least = None, None
    for i in range(steps + 1):
        for j in range(steps + 1 - i) if len(cov) == 3 else [steps - i]:
            w = [i / steps, j / steps, (steps - i - j) / steps][: len(cov)]
            if max(w) > cap + 1e-12:
                continue
            risk = variance(cov, w)
            if least is None or risk < least:
                best, least = w, risk
    return best


def hrp(cov):
    """López de Prado (2016), stages 1 to 3 as the paper tells them."""
    m = len(cov)
    rho = [[cov[i][j] / sqrt(cov[i][i] * cov[j][j]) for j in range(m)] for i in range(m)]
    d = [[sqrt(max(0.0, (1 - rho[i][j]) / 2)) for j in range(m)] for i in range(m)]
    apart = {(i, j): sqrt(sum((d[k][i] - d[k][j]) ** 2 for k in range(m))) for i in range(m) for j in range(m) if i < j}
    # Stage 1: join the two nearest clusters; the distance of clusters is that of their nearest members.
    clusters = {i: [i] for i in range(m)}
    made = {}
    while len(clusters) > 1:
        nearest = None
        for a in sorted(clusters):
            for b in sorted(clusters):
                if a < b:
                    gap = min(apart[min(i, j), max(i, j)] for i in clusters[a] for j in clusters[b])
                    if nearest is None or gap < nearest[0]:
                        nearest = (gap, a, b)
        _, a, b = nearest
        number = m + len(made)
        made[number] = (a, b)
        clusters[number] = clusters.pop(a) + clusters.pop(b)
    # Stage 2: replace every cluster by its two parts until only leaves are left.
    order = list(clusters)
    while any(one in made for one in order):
        order = [part for one in order for part in made.get(one, (one,))]
    # Stage 3.
    w = [1.0] * m

    def risk(part):
        inverse = [1 / cov[i][i] for i in part]
        mix = [one / sum(inverse) for one in inverse]
        return sum(mix[a] * mix[b] * cov[part[a]][part[b]] for a in range(len(part)) for b in range(len(part)))

    def bisect(part):
        if len(part) < 2:
            return
        one, two = part[: len(part) // 2], part[len(part) // 2 :]
        alpha = 1 - risk(one) / (risk(one) + risk(two))
        for i in one:
            w[i] *= alpha
        for i in two:
            w[i] *= 1 - alpha
        bisect(one)
        bisect(two)

    bisect(order)
    return w
