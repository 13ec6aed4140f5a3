"""The strategy file as types: one model per section, frozen, plain values only.

Shares and rates are fractions unless their name ends in _bps; durations and times are int ns (see
`values`).  Nothing here is a market or an account: the pipeline makes those of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from wfbt.config.inputs import ManySeries, Timeframes
from wfbt.config.learning import MaybeVolatility
from wfbt.config.monte_carlo import MaybeMonteCarlo, MonteCarlo, check_labels
from wfbt.config.policies import Policy, Sleeves
from wfbt.config.regimes import Regimes, check_states
from wfbt.config.robustness import MaybeRobustness, Robustness
from wfbt.config.section import Section, tag_of_model
from wfbt.config.stress import Capacity, Decay, Stress, check_scenarios
from wfbt.config.support import refusals
from wfbt.config.trading import (
    CorrelatedLimit,
    FeeTiers,
    Limit,
    Orders,
    Participation,
    Ratchet,
    Scale,
    Tiers,
)
from wfbt.config.values import (
    AutoDuration,
    Bps,
    ByKey,
    Duration,
    File,
    Fraction,
    Listed,
    Name,
    NonNegative,
    PartOfOne,
    Positive,
    Rebatable,
    Span,
    SymbolName,
    Time,
)
from wfbt.config.windows import WindowMatrix


def _after_start(end: Time | None, info: ValidationInfo) -> Time | None:
    start = info.data.get("start")
    if end is not None and start is not None and end <= start:
        raise ValueError(f"must be after start ({start})")
    return end


class Contract(Section):
    """What one unit is; a tick or lot of 0 is no grid."""

    tick: NonNegative = 0.0
    lot: NonNegative = 0.0
    multiplier: Positive = 1.0
    inverse: bool = False


class Symbol(Section):
    """Files and particulars of one symbol."""

    bars: File
    funding: File | None = None
    mark: File | None = None
    execution_bars: File | None = None
    trades: File | None = None
    book: File | None = None
    contract: Contract = Contract()
    impact: NonNegative | None = None
    volume: Literal["units", "none"] = "units"
    adv: Positive | None = None
    tiers: Tiers | None = None


class Data(Section):
    """Which market, from when (inclusive) to when (exclusive)."""

    start: Time
    end: Time
    symbols: Annotated[dict[SymbolName, Symbol], Field(min_length=1), ByKey]
    series: ManySeries = Field(default={})
    timeframes: Timeframes = ()

    _order = field_validator("end")(_after_start)

    @model_validator(mode="after")
    def _known_symbols(self) -> Self:
        for name, series in self.series.items():
            if series.symbol is not None and series.symbol not in self.symbols:
                raise PydanticCustomError(
                    "across",
                    "must be one of data.symbols ({known})",
                    {"key": f"data.series.{name}.symbol", "known": ", ".join(self.symbols), "value": series.symbol},
                )
        return self


class Account(Section):
    """Cash and what the venue asks for."""

    cash: Positive = 100_000.0
    leverage: Positive = 1.0
    margin: Literal["cross", "isolated"] = "cross"
    maintenance: PartOfOne = 0.005
    liquidation_fee_bps: Bps = 50.0
    tiers: File | None = None
    traded: NonNegative = 0.0


class Impact(Section):
    """Square-root impact: coefficient · σ · √participation."""

    model: Literal["sqrt"] = "sqrt"
    temporary: NonNegative = 0.1
    permanent: NonNegative = 0.05
    horizon: Span = Duration.parse("24h")


class Costs(Section):
    """Fees, spread and impact; a maker rebate is negative."""

    maker_bps: Rebatable = 2.0
    taker_bps: Bps = 5.0
    half_spread_bps: Bps = 0.5
    impact: Impact | None = Impact()
    participation: Participation | None = Participation()
    fee_tiers: FeeTiers = ()


class Constant(Section):
    """Always the same delay."""

    model: Literal["constant"] = "constant"
    value: Duration


class Uniform(Section):
    """Any delay from `low` to `high`, equally likely."""

    model: Literal["uniform"] = "uniform"
    low: Duration
    high: Duration

    @field_validator("high")
    @classmethod
    def _low_first(cls, high: Duration, info: ValidationInfo) -> Duration:
        if "low" in info.data and high < info.data["low"]:
            raise ValueError(f"must be >= low ({info.data['low']})")
        return high


class Lognormal(Section):
    """exp(normal) around a median; `sigma` is the deviation of the logarithm."""

    model: Literal["lognormal"] = "lognormal"
    median: Span
    sigma: Annotated[float, Field(ge=0, le=5)]


class Empirical(Section):
    """Delays drawn from measured ones, listed here or in a file."""

    model: Literal["empirical"] = "empirical"
    samples: Annotated[tuple[Duration, ...] | None, Listed] = None
    file: File | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if bool(self.samples) == (self.file is not None):
            raise ValueError("needs either samples (a list of durations) or file")
        return self


def _spell_delay(value: object) -> object:
    if value == "none" or (isinstance(value, dict) and value.get("model") == "none" and len(value) == 1):
        return Constant(value=Duration(0))
    if isinstance(value, dict | Section):
        return value
    try:
        return Constant(value=Duration.parse(value))
    except ValueError as error:
        raise ValueError(f"{error}, none, or a mapping with a model") from None


Delay = Annotated[
    Annotated[Constant, Tag("@constant")]
    | Annotated[Uniform, Tag("@uniform")]
    | Annotated[Lognormal, Tag("@lognormal")]
    | Annotated[Empirical, Tag("@empirical")],
    Discriminator(
        tag_of_model,
        custom_error_type="no_model",
        custom_error_message="must have a model: none, constant, uniform, lognormal or empirical",
    ),
    BeforeValidator(_spell_delay),
]


def spell_latency(value: object) -> object:
    """Spell a bare distribution out as the order's."""
    bare = not isinstance(value, dict | Section) or (isinstance(value, dict) and "model" in value)
    return {"order": value} if bare or isinstance(value, Constant | Uniform | Lognormal | Empirical) else value


class Latency(Section):
    """Delays of an order, of the data feed and of the response; `adverse` is the share that always costs."""

    order: Delay = Uniform(low=Duration.parse("100ms"), high=Duration.parse("500ms"))
    feed: Delay = Constant(value=Duration(0))
    response: Delay = Constant(value=Duration(0))
    adverse: Annotated[float, Field(ge=0, le=1)] = 0.5


class Sizing(Section):
    """How a target becomes a quantity."""

    method: Literal["fraction", "risk", "volatility", "fixed"] = "fraction"
    risk: Fraction = 0.01
    goal: Positive = 0.2
    notional: Positive | None = None
    max_position: Positive | None = 1.0
    band: Positive | None = None
    price: Literal["decision", "fill"] = "decision"
    scale: Scale = Scale()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.method == "fixed" and self.notional is None:
            raise ValueError("with method fixed needs notional, the size of one position in quote currency")
        return self


class Exits(Section):
    """Exits of a rule that puts out none; distances in ATRs, fractions of the entry price or forecast volatilities."""

    atr: Annotated[int, Field(ge=1, le=10_000)] = 14
    stop_atr: Positive | None = None
    take_atr: Positive | None = None
    trail_atr: Positive | None = None
    stop_pct: Annotated[float, Field(gt=0, lt=1)] | None = None
    take_pct: Annotated[float, Field(gt=0, le=10)] | None = None
    stop_vol: Positive | None = None
    take_vol: Positive | None = None
    trail_vol: Positive | None = None
    time: Span | None = None
    ratchet: Ratchet | None = None
    trail_follow: bool = False

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        for side in ("stop", "take", "trail"):
            kinds = [f"{side}_{kind}" for kind in ("atr", "pct", "vol")]
            given = [name for name in kinds if getattr(self, name, None) is not None]
            if len(given) > 1:
                rest = "the other" if len(given) == 2 else "the others"
                raise ValueError(f"has {' and '.join(given)}: keep one of them, set {rest} to null")
        if self.trail_follow and self.trail_atr is None:
            raise ValueError("has trail_follow without trail_atr, the distance in ATRs that follows")
        return self


class Cooldown(Section):
    """No new risk for `bars` bars after `losses` losing round trips in a row."""

    losses: Annotated[int, Field(ge=1, le=1_000)] = 3
    bars: Annotated[int, Field(ge=1, le=1_000_000)] = 24


class Limits(Section):
    """Breakers; null switches each off."""

    max_daily_loss: Fraction | None = 0.05
    max_drawdown: Fraction | None = 0.25
    max_volatility: Limit | None = None
    cooldown: Cooldown | None = Cooldown()
    max_leverage: Positive | None = 3.0
    gross: Limit | None = None
    net: Limit | None = None
    asset: Limit | None = None
    concentration: Limit | None = None
    correlated: CorrelatedLimit | None = None
    var: Limit | None = None
    cvar: Limit | None = None
    liquidity: Limit | None = None
    stops: Limit | None = None
    tail: Annotated[float, Field(gt=0, lt=1)] = 0.05
    window: Annotated[int, Field(ge=30, le=10_000)] = 250


class Mandate(Section):
    """What the strategy promises, for the gate to hold it to."""

    max_drawdown: Fraction = 0.25
    max_stress_loss: Fraction = 0.5
    min_sharpe: NonNegative = 1.0
    specialist: bool = False


class Selection(Section):
    """Findings by name, symbol and span; null means all."""

    finding: Annotated[str, Field(min_length=1, max_length=64)]
    symbol: SymbolName | None = None
    start: Time | None = None
    end: Time | None = None

    _order = field_validator("end")(_after_start)


def _spell_selection(value: object) -> object:
    return {"finding": value} if isinstance(value, str) else value


Selections = Annotated[tuple[Annotated[Selection, BeforeValidator(_spell_selection)], ...], Listed]


class Quality(Section):
    """What is tolerated in the data and what is repaired; the manifest keeps both."""

    max_missing: Annotated[float, Field(ge=0, le=1)] = 0.05
    accept: Selections = ()
    repair: Selections = ()


class Folds(Section):
    """Test windows over [start + train, end).  `count` null with a `test` length: as many as fit."""

    test: AutoDuration = "auto"
    count: Annotated[int, Field(ge=1, le=10_000)] | None = 12
    scheme: Literal["rolling", "anchored", "purged", "cpcv"] = "rolling"
    train: Span = Duration.parse("365d")
    purge: AutoDuration = "auto"
    embargo: Duration = Duration.parse("24h")
    groups_out: Annotated[int, Field(ge=1, le=100)] = 2
    objective: Literal["sharpe", "sortino", "calmar", "annual_return", "total_return"] = "sharpe"
    matrix: WindowMatrix | None = None

    @model_validator(mode="before")
    @classmethod
    def _by_length(cls, value: Any) -> Any:
        if isinstance(value, dict) and "count" not in value and value.get("test", "auto") != "auto":
            return value | {"count": None}
        return value

    @field_validator("test")
    @classmethod
    def _some_test(cls, test: Duration | str) -> Duration | str:
        if test == 0:
            raise ValueError("must be > 0")
        return test

    @field_validator("count")
    @classmethod
    def _countable(cls, count: int | None, info: ValidationInfo) -> int | None:
        if count is None and info.data.get("test") == "auto":
            raise ValueError("must be a whole number while folds.test is auto")
        return count

    @model_validator(mode="after")
    def _rows_left(self) -> Self:
        purge = Duration(0) if self.purge == "auto" else self.purge
        if self.scheme in ("rolling", "anchored") and self.embargo + purge >= self.train:
            raise PydanticCustomError(
                "across",
                "and folds.purge together must be shorter than folds.train ({train})",
                {"key": "folds.embargo", "train": str(self.train), "value": str(Duration(self.embargo + purge))},
            )
        return self


class Leaks(Section):
    """How closely a run looks for leaks: evaluations of the policy on other markets, at least 8; it is never off."""

    evaluations: Literal["auto"] | Annotated[int, Field(ge=8, le=1_000_000)] = "auto"


class Report(Section):
    """Which tearsheets are rendered."""

    tearsheets: Literal["all", "oos", "none"] = "all"


class Strategy(Section):
    """A strategy file, complete with every default.

    `base` is the folder that relative paths start from; it is no part of the strategy's identity.
    """

    name: Name
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    data: Data
    engine: Literal["bars", "book"] = "bars"
    account: Account = Account()
    costs: Costs = Costs()
    venue: str | None = None
    orders: Orders = Orders()
    latency: Annotated[Latency, BeforeValidator(spell_latency)] = Latency()
    sleeves: Sleeves | None = None
    policy: Policy | None = Field(default=None, validate_default=True)
    sizing: Sizing = Sizing()
    exits: Exits = Exits()
    limits: Limits = Limits()
    mandate: Mandate = Mandate()
    quality: Quality = Quality()
    folds: Folds = Folds()
    regimes: Regimes | None = Regimes()
    volatility: MaybeVolatility = None
    robustness: MaybeRobustness = Robustness()
    stress: Stress | None = Stress()
    capacity: Capacity | None = Capacity()
    decay: Decay | None = Decay()
    monte_carlo: MaybeMonteCarlo = MonteCarlo()
    leaks: Leaks = Leaks()
    report: Report = Report()
    trials: File | None = None

    _base: Path = PrivateAttr(default_factory=Path)

    @property
    def base(self) -> Path:
        """The folder of the strategy file."""
        return self._base

    def locate(self, path: str) -> str:
        """A path of this file as the working directory sees it; s3:// and other addresses stay as they are."""
        return path if "://" in path else str(self._base / path)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Strategy):
            return NotImplemented
        return self.__dict__ == other.__dict__

    @field_validator("policy")
    @classmethod
    def _policy_or_sleeves(cls, policy: Policy | None, info: ValidationInfo) -> Policy | None:
        # What is wrong inside sleeves is told there.
        if "sleeves" not in info.data:
            return policy
        if policy is None and info.data["sleeves"] is None:
            raise PydanticCustomError("missing", "Field required")
        if policy is not None and info.data["sleeves"] is not None:
            raise ValueError("and sleeves exclude each other: keep one of them")
        return policy

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if unsupported := refusals(self):
            raise PydanticCustomError("unsupported", "{text}", {"text": "; ".join(text for _, text in unsupported)})
        span = Duration(self.data.end - self.data.start)
        walked_forward = self.folds.scheme in ("rolling", "anchored")  # the others use neither train nor test
        if walked_forward and self.folds.train >= span:
            raise PydanticCustomError(
                "across",
                "must be shorter than the data ({span} from data.start to data.end)",
                {"key": "folds.train", "span": str(span), "value": str(self.folds.train)},
            )
        test = self.folds.test
        if walked_forward and test != "auto" and self.folds.train + (self.folds.count or 1) * test > span:
            raise PydanticCustomError(
                "across",
                "must leave room for {count} test windows after folds.train within the data ({span})",
                {"key": "folds.test", "count": self.folds.count or 1, "span": str(span), "value": str(test)},
            )
        participation = self.costs.participation
        if self.limits.liquidity is not None and (participation is None or participation.order is None):
            raise PydanticCustomError(
                "across",
                "needs costs.participation.order, the share of the volume at which one leaves",
                {"key": "limits.liquidity", "value": self.limits.liquidity.most},
            )
        self._forecast_there()
        for key in ("accept", "repair"):
            for index, selection in enumerate(getattr(self.quality, key)):
                if selection.symbol is not None and selection.symbol not in self.data.symbols:
                    raise PydanticCustomError(
                        "across",
                        "must be one of data.symbols ({known})",
                        {
                            "key": f"quality.{key}[{index}].symbol",
                            "known": ", ".join(self.data.symbols),
                            "value": selection.symbol,
                        },
                    )
        self._sleeves_traded()
        check_states(self.regimes, self._policies(), self.sizing.scale.regimes)
        check_scenarios(self.stress, tuple(self.data.symbols), self.data.start, self.data.end)
        check_labels(self.monte_carlo, self.data.series)
        return self

    def _forecast_there(self) -> None:
        """What is made of a forecast of volatility has one, and a forecast that is to be followed is."""
        if self.volatility is None:
            for name in ("stop_vol", "take_vol", "trail_vol"):
                if (value := getattr(self.exits, name)) is not None:
                    raise PydanticCustomError(
                        "across",
                        "counts in forecast volatilities and needs the volatility section, such as volatility: {}",
                        {"key": f"exits.{name}", "value": value},
                    )
        elif self.volatility.sizing and self.sizing.method != "volatility":
            raise PydanticCustomError(
                "across",
                "needs sizing.method volatility, the one that divides by it; sizing.method is {method}",
                {"key": "volatility.sizing", "method": self.sizing.method, "value": True},
            )
        if self.volatility is not None and self.volatility.limit:
            if self.limits.max_volatility is None:
                raise PydanticCustomError(
                    "across",
                    "needs limits.max_volatility, the limit that it judges",
                    {"key": "volatility.limit", "value": True},
                )
            if self.sleeves is not None:
                raise PydanticCustomError(
                    "across",
                    "is not offered with sleeves, whose account has one limit for several forecasts of a symbol",
                    {"key": "volatility.limit", "value": True},
                )

    def _policies(self) -> dict[str, Policy]:
        """Policy sections by where they stand."""
        if self.sleeves is not None:
            return {f"sleeves.members.{name}.policy": one.policy for name, one in self.sleeves.members.items()}
        return {"policy": self.policy} if self.policy is not None else {}

    def _sleeves_traded(self) -> None:
        """Every symbol of a sleeve is one of the data, and every symbol of the data is some sleeve's."""
        if self.sleeves is None:
            return
        known, traded = set(self.data.symbols), set()
        for name, member in self.sleeves.members.items():
            own = set(member.symbols or known)
            if strange := sorted(own - known):
                raise PydanticCustomError(
                    "across",
                    "must be of data.symbols ({known})",
                    {"key": f"sleeves.members.{name}.symbols", "known": ", ".join(self.data.symbols), "value": strange},
                )
            traded |= own
        if idle := sorted(known - traded):
            raise PydanticCustomError(
                "across",
                "must each be traded by a sleeve; leave out what none trades",
                {"key": "data.symbols", "value": idle},
            )
