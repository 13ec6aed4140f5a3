"""What is in the zoo: of each leak where it sits, what it leaks through, and how many rows it touches."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """A rule that knows what comes later.

    Attributes
    ----------
    file, rule : str
        Where it is.
    through : str
        What it knows it from, or what the knowledge goes into.
    share : float or None
        Share of the rows whose decision differs from that of data that end there, of the last 2,560 hours of the test
        market (1,880 for classes, fitted on what came before), counted by recomputing every prefix of the rare and
        every third of the others.  None: not a function of the bars alone.
    column, symbol : str
        What a message has to name.
    market : str
        As `studies.write_strategy` takes it.
    sections : dict
        Of the strategy.
    """

    file: str
    rule: str
    through: str
    share: float | None
    column: str = "target"
    symbol: str = "AAA"
    market: str = "one"
    sections: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        composed = self.sections.get("policy", {})
        return "-".join((self.rule, *(key for key in ("hybrid", "ensemble", "search") if key in composed)))


def leak(file, rule, through, share, **more):
    return Leak(file=file, rule=rule, through=through, share=share, **more)


OWN = {"rule": "rules.py:turns_back", "search": {}}
HYBRID = {"hybrid": {"mode": "veto", "propose": {"rule": "sma_cross", "search": {}}, "confirm": OWN}}
ENSEMBLE = {"ensemble": [{"weight": 0.9, "rule": "sma_cross", "search": {}}, {"weight": 0.02} | OWN]}
SEARCH = {"rule": "rules.py:ahead", "search": {"bars_ahead": [0, 1]}}

LEAKS = (
    leak("targets", "next_close", "target", 0.5),
    leak("targets", "off_by_one", "target", 1.0),
    leak("targets", "a_month_ahead", "target", 0.32),
    leak("targets", "next_volume", "target, of volume", 0.46),
    leak("targets", "next_high", "target, of highs", 0.48),
    leak("targets", "whole_sample_zscore", "target, whole sample", 0.43),
    leak("targets", "whole_sample_rank", "target, whole sample", 1.0),
    leak("targets", "whole_sample_quantile", "target, whole sample", 0.0074),
    leak("targets", "whole_sample_bins", "target, whole sample", 0.034),
    leak("targets", "whole_sample_extremes", "target, whole sample", 0.76),
    leak("targets", "whole_sample_scaler", "target, whole sample", 0.02),
    leak("targets", "whole_sample_polynomial", "target, whole sample", 0.45),
    leak("targets", "whole_sample_hours", "target, whole sample", 0.3),
    leak("targets", "position_in_the_sorted_sample", "target, whole sample", 0.16),
    leak("targets", "tuned_threshold", "target, whole sample", 0.12),
    leak("targets", "centred_window", "target, two-sided filter", 0.24),
    leak("targets", "centred_convolution", "target, two-sided filter", 0.49),
    leak("targets", "gradient", "target, two-sided filter", 0.24),
    leak("targets", "savgol", "target, two-sided filter", 0.35),
    leak("targets", "both_ways_filter", "target, two-sided filter", 0.48),
    leak("targets", "fourier_lowpass", "target, two-sided filter", 0.49),
    leak("targets", "backward_ewm", "target, from the end", 1.0),
    leak("targets", "cumsum_from_the_end", "target, from the end", 1.0),
    leak("targets", "highest_still_to_come", "target, from the end", 0.8),
    leak("targets", "backfilled_midnight", "target, filled backward", 0.87),
    leak("targets", "interpolated", "target, filled backward", 0.025),
    leak("targets", "unclosed_four_hours", "target, coarse bars", 0.75),
    leak("targets", "close_of_the_day", "target, coarse bars", 1.0),
    leak("targets", "merged_forward", "target, coarse bars", 0.87),
    leak("targets", "merged_nearest", "target, coarse bars", 0.17),
    leak("targets", "prominent_peaks", "target", 0.13),
    leak("targets", "one_hundredth", "target, in a small weight", 1.0),
    leak("targets", "ninth_decimal", "target, in a small weight", 0.5),
    leak("targets", "speaks_when_it_pays", "target, a number or none", 0.5),
    leak("targets", "when_flat", "target, at some rows", 0.41),
    leak("targets", "last_tenth", "target, at some rows", 0.063),
    leak("targets", "once_a_week", "target, at some rows", 0.0031),
    leak("targets", "first_bar_of_a_month", "target, at some rows", 0.0012),
    leak("targets", "three_sigma", "target, at some rows", 0.0012),
    leak("targets", "volatile_hours", "target, at some rows", 0.019),
    leak("targets", "big_rises_only", "target, at some rows", 0.0098),
    leak("orders", "stop_beyond_the_low_to_come", "stop", 1.0, column="stop"),
    leak("orders", "stop_where_it_will_help", "stop, a number or none", 0.48, column="stop"),
    leak("orders", "take_at_the_high_to_come", "take", 1.0, column="take"),
    leak("orders", "trail_of_the_volatility_to_come", "trail", 1.0, column="trail"),
    leak("orders", "limit_at_the_low_to_come", "limit", 1.0, column="limit"),
    leak("orders", "limit_at_a_whole_sample_depth", "limit, whole sample", 1.0, column="limit"),
    leak("orders", "trigger_at_the_high_to_come", "trigger", 0.99, column="trigger"),
    leak("orders", "expires_when_it_would_hurt", "expiry", 0.5, column="expire"),
    leak("orders", "other_limit_to_come", "limit of the second order", 1.0, column="other_limit"),
    leak("fitted", "PeekingTargets", "fitted class", 0.22),
    leak("fitted", "ScalesOnEverything", "fitted class", 0.73),
    leak("fitted", "RegressesOnEverything", "fitted class", 0.021),
    leak("fitted", "SmoothedStates", "fitted class", 0.98),
    leak("fitted", "ViterbiStates", "fitted class", 0.078),
    leak("fitted", "RemembersInTheClass", "global state", None),
    leak("memory", "flat_on_the_last_bar", "length of the data", 1.0),
    leak("memory", "winds_down_on_the_last_day", "length of the data", 0.99),
    leak("memory", "halves_by_length", "length of the data", 0.46),
    leak("memory", "window_by_length", "length of the data", 0.16),
    leak("memory", "remembers_in_the_module", "global state", None),
    leak("memory", "remembers_in_numpy", "global state", None),
    leak("memory", "cached_by_start", "global state", None),
    leak("memory", "remembers_in_the_environment", "global state", None),
    leak("memory", "hunts_for_longer_frames", "global state", None),
    leak("memory", "remembers_on_disk", "disk", None),
    leak("memory", "remembers_in_the_temporary_folder", "disk", None),
    leak("memory", "remembers_in_shared_memory", "disk", None),
    leak("memory", "reads_the_market_file", "disk", None),
    leak("joined", "other_symbol_leads", "other symbol", 1.0, market="two"),
    leak("joined", "only_the_second", "target, of the second symbol", 1.0, market="two", symbol="BBB"),
    leak("joined", "weighted_by_whole_sample_risk", "other symbol, whole sample", 1.0, market="two"),
    leak("joined", "stop_of_the_second", "stop, of the second symbol", 0.98, market="two", symbol="BBB", column="stop"),
    leak("joined", "next_funding", "funding", 1.0),
    leak("joined", "funding_backfilled", "funding", 0.44),
    leak("joined", "news_on_event_time", "series", 1.0, market="news"),
    leak("joined", "news_normalised_by_all", "series, whole sample", 0.69, market="news"),
    leak("joined", "four_hours_under_way", "coarse bars", 0.38, market="coarse"),
    leak("joined", "next_regime", "regime", None, sections={"regimes": {"states": 2, "show": True}}),
    leak("joined", "next_forecast", "forecast", None, sections={"volatility": {"model": "har", "dist": None}}),
    leak("joined", "turns_back", "part of a hybrid", 0.71, sections={"policy": HYBRID}),
    leak("joined", "turns_back", "part of an ensemble", 0.71, sections={"policy": ENSEMBLE}),
    leak("joined", "ahead", "one of the candidates", 0.5, sections={"policy": SEARCH}),
)
