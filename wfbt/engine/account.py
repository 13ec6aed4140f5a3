"""Whose money it is and what he allows: account, sizing, exits and limits, in human units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite

from wfbt.engine.exposure import Exposure
from wfbt.engine.venue import Tier
from wfbt.errors import ConfigError


def _positive(name: str, value: float | None) -> None:
    if value is not None and not (value > 0 and isfinite(value)):
        raise ConfigError(f"{name} must be > 0, was {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One margin account.

    Attributes
    ----------
    cash : float
        Opening balance, quote (coin for inverse contracts).
    leverage : float
        Most gross notional the venue allows, in multiples of equity.
    margin : str
        "cross": all equity stands behind all positions.  "isolated": each has a wallet of its own.
    maintenance : float
        Equity below this share of gross notional is liquidated.
    tiers : mapping of symbol to sequence of Tier
        Instead of `maintenance`, by notional.
    traded : float
        Value traded in the 30 days before the start, for fee tiers.
    liquidation_fee_bps : float
        On the notional liquidated, from what is left.
    """

    cash: float = 100_000.0
    leverage: float = 1.0
    margin: str = "cross"
    maintenance: float = 0.005
    liquidation_fee_bps: float = 50.0
    tiers: Mapping[str, Sequence[Tier]] = field(default_factory=dict)
    traded: float = 0.0

    def __post_init__(self) -> None:
        _positive("account.cash", self.cash)
        _positive("account.leverage", self.leverage)
        if self.margin not in ("cross", "isolated"):
            raise ConfigError(f"account.margin must be cross or isolated, was {self.margin!r}")
        if not 0 <= self.traded < inf:
            raise ConfigError(f"account.traded must be >= 0, was {self.traded}")
        if not 0 <= self.maintenance < 1:
            raise ConfigError(f"account.maintenance must lie in 0..1, was {self.maintenance}")
        if not 0 <= self.liquidation_fee_bps < 10_000:
            raise ConfigError(f"account.liquidation_fee_bps must lie in 0..10000, was {self.liquidation_fee_bps}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """How many units a target means.

    Attributes
    ----------
    method : str
        fraction: target × equity. risk: target × `risk` × equity / stop distance. volatility: target × `goal` / σ.
        fixed: target × `notional`.
    forecast : bool
        σ of method volatility is the fitted forecast of the fold, not the trailing one.
    risk : float
        Share of equity lost when the stop is hit.
    goal : float
        Annual volatility aimed at.
    notional : float or None
        Quote value of a target of 1.
    max_position : float or None
        Most |notional| of one symbol, in multiples of equity.
    band : float or None
        Rebalance when the held weight drifts further than this from the target's.
    price : str
        "decision": units are computed at the close of the decision. "fill": at the fill, after half spread and fee.
    quiet_volatility : float or None
        Annual volatility above which sizes shrink in proportion.
    diversify : bool
        Sizes × 1/√(1 + (n − 1)·ρ), ρ the mean trailing correlation with the n − 1 other symbols, at least 0.
    """

    method: str = "fraction"
    risk: float = 0.01
    goal: float = 0.2
    notional: float | None = None
    max_position: float | None = None
    band: float | None = None
    price: str = "decision"
    quiet_volatility: float | None = None
    diversify: bool = False
    forecast: bool = False

    def __post_init__(self) -> None:
        if self.method not in ("fraction", "risk", "volatility", "fixed"):
            raise ConfigError(f"sizing.method: unknown {self.method!r}; use fraction, risk, volatility or fixed")
        if self.price not in ("decision", "fill"):
            raise ConfigError(f"sizing.price must be decision or fill, was {self.price!r}")
        for name in ("risk", "goal", "notional", "max_position", "band", "quiet_volatility"):
            _positive(f"sizing.{name}", getattr(self, name))
        if self.method == "fixed" and self.notional is None:
            raise ConfigError("sizing.method fixed needs sizing.notional, the quote value of a target of 1")
        if self.forecast and self.method != "volatility":
            raise ConfigError(f"sizing.forecast is for sizing.method volatility, which was {self.method}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratchet:
    """Once the best price is `after` stop distances beyond the entry, the stop keeps the share `keep` of the way."""

    after: float
    keep: float

    def __post_init__(self) -> None:
        _positive("exits.ratchet.after", self.after)
        if not 0 < self.keep < 1:
            raise ConfigError(f"exits.ratchet.keep must lie between 0 and 1, was {self.keep}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exits:
    """Exits for a policy that names none of its own; distances from the average entry.

    Attributes
    ----------
    atr : int
        Bars of the average true range that scales the next three.
    stop_atr, take_atr, trail_atr : float or None
    stop_pct, take_pct : float or None
        Fraction of the decision's close.
    stop_vol, take_vol, trail_vol : float or None
        Multiples of the fold's forecast of volatility over `horizon`, as a share of the decision's close.  Where
        several kinds are given the nearest holds.
    horizon : int
        ns over which that volatility counts.
    time : int or None
        ns after the entry, then out at the next open.
    ratchet : Ratchet or None
    trail_follow : bool
        The trailing distance follows the ATR from bar to bar instead of staying what it was at the entry.
    """

    atr: int = 14
    stop_atr: float | None = None
    take_atr: float | None = None
    trail_atr: float | None = None
    stop_pct: float | None = None
    take_pct: float | None = None
    stop_vol: float | None = None
    take_vol: float | None = None
    trail_vol: float | None = None
    horizon: int = 86_400_000_000_000
    time: int | None = None
    ratchet: Ratchet | None = None
    trail_follow: bool = False

    @property
    def forecast(self) -> bool:
        """Whether any distance is made of a forecast."""
        return any(one is not None for one in (self.stop_vol, self.take_vol, self.trail_vol))

    def __post_init__(self) -> None:
        distances = ("stop_atr", "take_atr", "trail_atr", "stop_pct", "take_pct", "stop_vol", "take_vol", "trail_vol")
        for name in ("atr", *distances, "horizon", "time"):
            _positive(f"exits.{name}", getattr(self, name))
        if self.trail_follow and self.trail_atr is None:
            raise ConfigError("exits.trail_follow needs exits.trail_atr, the distance in ATRs that follows")
        if self.trail_follow and self.trail_vol is not None:
            raise ConfigError("exits.trail_follow follows the ATR; set exits.trail_vol to null")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When the account stops trading.

    Attributes
    ----------
    max_daily_loss : float or None
        Share of the equity at the last UTC midnight; flat until the next one.
    max_drawdown : float or None
        Share of the highest equity; flat for good.
    losses : int or None
        Losing round trips in a row after which nothing is entered for `cool_down` ns.
    cool_down : int
    max_leverage : float or None
        The trader's own cap on gross notional, in multiples of equity.
    exposure : Exposure
        What the portfolio may hold.
    """

    max_daily_loss: float | None = None
    max_drawdown: float | None = None
    losses: int | None = None
    cool_down: int = 0
    max_leverage: float | None = None
    exposure: Exposure = field(default_factory=Exposure)

    def __post_init__(self) -> None:
        for name in ("max_daily_loss", "max_drawdown"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1:
                raise ConfigError(f"limits.{name} must lie between 0 and 1, was {value}")
        _positive("limits.max_leverage", self.max_leverage)
        if self.losses is not None and self.losses < 1:
            raise ConfigError(f"limits.cooldown.losses must be >= 1, was {self.losses}")
        if self.cool_down < 0:
            raise ConfigError(f"limits.cooldown must be >= 0 ns, was {self.cool_down}")


def off(value: float | None) -> float:
    """`value`, or the number that switches a cap off."""
    return inf if value is None else float(value)
