"""What a venue asks for by size: margin tiers by notional, fee tiers by trailing volume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf

import numpy as np
import numpy.typing as npt

from wfbt.data.market import BPS
from wfbt.errors import ConfigError
from wfbt.kernels.abi import FEE, TIER


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """Maintenance margin of the part of a position's notional up to `up_to` (inf: no end), in account currency."""

    up_to: float = inf
    maintenance: float

    def __post_init__(self) -> None:
        if not self.up_to > 0:
            raise ConfigError(f"tiers: up_to must be > 0, was {self.up_to}")
        if not 0 <= self.maintenance < 1:
            raise ConfigError(f"tiers: maintenance must lie in 0..1, was {self.maintenance}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeTier:
    """Fees from a value traded in 30 days on."""

    volume: float
    maker_bps: float
    taker_bps: float

    def __post_init__(self) -> None:
        if not self.volume >= 0:
            raise ConfigError(f"costs.fee_tiers: volume must be >= 0, was {self.volume}")
        if not (-10_000 < self.maker_bps < 10_000 and 0 <= self.taker_bps < 10_000):
            raise ConfigError(
                f"costs.fee_tiers: fees must lie within ±10000 bps, were {self.maker_bps}, {self.taker_bps}"
            )


def margin_tiers(
    symbols: Sequence[str], tiers: Mapping[str, Sequence[Tier]], maintenance: float
) -> npt.NDArray[np.void]:
    """(A, K) TIER; a symbol without tiers has the one of `maintenance`.

    Margin is continuous in notional: each tier's amount is what the tiers below it charge less.  Beyond the last cap
    the last rate goes on.
    """
    most = max([1, *(len(tiers[name]) for name in symbols if name in tiers)])
    out = np.zeros((len(symbols), most), TIER)
    out["cap"], out["rate"] = inf, maintenance
    for a, name in enumerate(symbols):
        own = tiers.get(name)
        if not own:
            continue
        for lower, upper in pairwise(own):
            if not upper.up_to > lower.up_to or upper.maintenance < lower.maintenance:
                raise ConfigError(
                    f"tiers of {name}: notional and maintenance must rise; {upper.up_to:g} at {upper.maintenance:g} "
                    f"follows {lower.up_to:g} at {lower.maintenance:g}"
                )
        amount, below, rate = 0.0, 0.0, own[0].maintenance
        for k in range(most):
            tier = own[min(k, len(own) - 1)]
            amount += below * (tier.maintenance - rate)
            below, rate = tier.up_to, tier.maintenance
            out[a, k] = (inf if k >= len(own) - 1 else tier.up_to, rate, amount)
            if k >= len(own) - 1:
                out[a, k:] = out[a, k]
                break
    return out


def fee_tiers(tiers: Sequence[FeeTier]) -> npt.NDArray[np.void]:
    """(J,) FEE, the first at a volume of 0."""
    for lower, upper in pairwise(tiers):
        if not upper.volume > lower.volume:
            raise ConfigError(f"costs.fee_tiers: volumes must rise; {upper.volume:g} follows {lower.volume:g}")
    if tiers and tiers[0].volume != 0:
        raise ConfigError(f"costs.fee_tiers: the first tier must begin at volume 0, begins at {tiers[0].volume:g}")
    return np.array([(t.volume, t.maker_bps * BPS, t.taker_bps * BPS) for t in tiers], FEE)
