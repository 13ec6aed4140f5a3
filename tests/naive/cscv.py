"""Combinatorially symmetric cross-validation by its definition, on exact fractions: it imports nothing from wfbt."""

from fractions import Fraction
from itertools import combinations
from math import copysign, log, sqrt


def signed_square(rows: list[Fraction]) -> Fraction:
    """SR·|SR|, which orders candidates as the Sharpe ratio does and needs no root; 0 where nothing varies."""
    n = len(rows)
    mean = sum(rows) / n
    variance = sum((row - mean) ** 2 for row in rows) / (n - 1)
    return mean * abs(mean) / variance if variance else Fraction(0)


def ratio(square: Fraction) -> float:
    return copysign(sqrt(abs(square)), square)


def blocks_of(length: int, splits: int) -> list[list[int]]:
    short, longer = divmod(length, splits)
    rows = iter(range(length))
    return [[next(rows) for _ in range(short + (s < longer))] for s in range(splits)]


def midrank(values: list[Fraction], one: Fraction) -> Fraction:
    """Mean of the places that values equal to `one` take, 1 the worst."""
    places = [place for place, value in enumerate(sorted(values), start=1) if value == one]
    return Fraction(sum(places), len(places))


def cscv(returns: list[list[float]], splits: int) -> list[dict[str, float]]:
    """Logit of the winner's rank, its Sharpe ratio in and out, and everyone's mean out, for each choice of blocks."""
    exact = [[Fraction(value) for value in row] for row in returns]
    columns = list(zip(*exact, strict=True))
    blocks = blocks_of(len(exact), splits)
    told = []
    for chosen in combinations(range(splits), splits // 2):
        rows = [row for s in chosen for row in blocks[s]]
        rest = [row for s in range(splits) if s not in chosen for row in blocks[s]]
        inside = [signed_square([column[row] for row in rows]) for column in columns]
        outside = [signed_square([column[row] for row in rest]) for column in columns]
        winners = [n for n, value in enumerate(inside) if value == max(inside)]
        rank = sum(midrank(outside, outside[w]) for w in winners) / len(winners)
        omega = rank / (len(columns) + 1)
        told.append(
            {
                "logit": log(omega / (1 - omega)),
                "best": ratio(max(inside)),
                "then": sum(ratio(outside[w]) for w in winners) / len(winners),
                "average": sum(ratio(value) for value in outside) / len(columns),
            }
        )
    return told
