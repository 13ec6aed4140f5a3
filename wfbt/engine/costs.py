"""What the venue charges: fees, spread and impact, in human units."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import isfinite

from wfbt.engine.orders import Participation
from wfbt.engine.venue import FeeTier, fee_tiers
from wfbt.errors import ConfigError

HORIZON = 24 * 3600 * 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact:
    """Square-root market impact of one order.

    An order of q units moves the price by (temporary + permanent)·σ·√(q / V), σ the volatility of returns and V the
    volume over `horizon`, both trailing at the decision.  Grinold & Kahn; Tóth et al. (2011), Phys. Rev. X 1, 021006.

    Attributes
    ----------
    temporary, permanent : float
        Multiples of σ for an order as large as V.  Both are paid by the fill.
    horizon : int
        ns over which σ and V are measured.
    """

    temporary: float = 0.1
    permanent: float = 0.05
    horizon: int = HORIZON

    def __post_init__(self) -> None:
        for name in ("temporary", "permanent"):
            if not (getattr(self, name) >= 0 and isfinite(getattr(self, name))):
                raise ConfigError(f"impact.{name} must be >= 0, was {getattr(self, name)}")
        if not self.horizon > 0:
            raise ConfigError(f"impact.horizon must be > 0 ns, was {self.horizon}")

    @classmethod
    def sqrt(cls, temporary: float = 0.1, permanent: float = 0.05, horizon: int = HORIZON) -> Impact:
        """The square-root law with these coefficients."""
        return cls(temporary=temporary, permanent=permanent, horizon=horizon)


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Fees, spread and impact of one venue.

    Attributes
    ----------
    maker_bps, taker_bps : float
        Fee on notional.  A maker rebate is negative.
    half_spread_bps : float
        Half the quoted spread, on price, paid by whoever takes.
    impact : Impact or None
        None switches it off.
    participation : Participation or None
        Caps on the share of the traded volume; None switches them off.
    fee_tiers : tuple of FeeTier
        Instead of maker_bps and taker_bps, by the value traded in the last 30 whole UTC days.
    """

    maker_bps: float = 2.0
    taker_bps: float = 5.0
    half_spread_bps: float = 0.5
    impact: Impact | None = field(default_factory=Impact)
    participation: Participation | None = None
    fee_tiers: tuple[FeeTier, ...] = ()

    def __post_init__(self) -> None:
        for name in ("taker_bps", "half_spread_bps"):
            if not 0 <= getattr(self, name) < 10_000:
                raise ConfigError(f"costs.{name} must be >= 0 and below 10000, was {getattr(self, name)}")
        if not -10_000 < self.maker_bps < 10_000:
            raise ConfigError(f"costs.maker_bps must lie within ±10000, was {self.maker_bps}")
        if self.participation is not None and not isinstance(self.participation, Participation):
            raise ConfigError(f"costs.participation must be a Participation or None, was {self.participation!r}")
        fee_tiers(self.fee_tiers)

    @classmethod
    def none(cls) -> Costs:
        """A venue that charges nothing and gives any volume."""
        return cls(maker_bps=0.0, taker_bps=0.0, half_spread_bps=0.0, impact=None)

    def stressed(self, factor: float) -> Costs:
        """Every cost times `factor`; a rebate is divided by it, so that stress never pays."""

        def dearer(maker_bps: float) -> float:
            return maker_bps * factor if maker_bps > 0 else maker_bps / factor

        impact = self.impact and replace(
            self.impact, temporary=self.impact.temporary * factor, permanent=self.impact.permanent * factor
        )
        return replace(
            self,
            maker_bps=dearer(self.maker_bps),
            taker_bps=self.taker_bps * factor,
            half_spread_bps=self.half_spread_bps * factor,
            impact=impact,
            fee_tiers=tuple(
                replace(tier, maker_bps=dearer(tier.maker_bps), taker_bps=tier.taker_bps * factor)
                for tier in self.fee_tiers
            ),
        )
