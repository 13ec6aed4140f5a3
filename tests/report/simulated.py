"""`monte_carlo` and `ruin` of result.json as the code that fills them makes them, of days drawn here."""

from functools import cache

import numpy as np

from wfbt.config.monte_carlo import MonteCarlo
from wfbt.data.market import DAY
from wfbt.risk.proportion import proportion
from wfbt.risk.survival import SmallAccount
from wfbt.simulation.fits import NAMES
from wfbt.simulation.replays import Replayed
from wfbt.simulation.resampled import Lived, resampled
from wfbt.simulation.ruin import ruin_section, stop_told
from wfbt.simulation.told import accounts_told, dates_of, fan_told, share_told, spread_told
from wfbt.simulation.worries import overall_worry, paths_worry

YEAR = 365
PATHS = 200


@cache
def simulated(drift=0.0005, volatility=0.02, days=600, levels=(1, 3)):
    """Both sections, of `days` normal days; level 4 was asked for and could not be fitted."""
    given = MonteCarlo(paths=PATHS, levels=(*levels, 4), capital=(1_000.0, 100_000.0))
    seeds = np.random.SeedSequence(3).spawn(3)
    returns = np.random.default_rng(5).normal(drift, volatility, days)
    lived = Lived(returns=returns, exposure=np.full(days, 0.8), block=5)
    small = SmallAccount(min_order=50.0, fixed_cost=0.0)
    own = resampled(
        lived, days=YEAR, paths=PATHS, seed=seeds[0], ruin=given.ruin, capitals=given.capital, small=small, jobs=1
    )
    found = Replayed(
        account=own.account,
        hold=own.account,
        depth=own.account.outcomes.drawdowns.depth * 1.01,
        liquidated=np.zeros(PATHS, np.bool_),
        trips=np.full(PATHS, 40),
    )
    ruin = ruin_section(given, lived, own, dict.fromkeys(levels, found), small, 365.0, seeds[1], seeds[2], 1)
    accounts = accounts_told(own.account, 365.0, given.ruin)
    told = {str(level): _level(level, found, own, given.ruin) for level in levels} | {"4": None}
    told |= {
        "resampled": {
            "paths": PATHS, "days": YEAR, "days_of_evidence": days, "block": 5, **accounts, **stop_told(lived),
            "fan": fan_told(own.account.fan, own.shown),
        },
        "begins": "2024-05-15T00:00:00Z", "train": None, "warm_bars": 10, "replays": PATHS, "paths": PATHS,
        "horizon_days": 365.0, "ruin": given.ruin, "notes": ["funding along a path settles at rates paid in training"],
    }  # fmt: skip
    told["resampled"]["worry"] = paths_worry(told["resampled"], 0.25, replayed=False)
    told["worry"] = overall_worry({key: told[key]["worry"] for key in (*map(str, levels), "resampled")})
    return {"monte_carlo": told | {"reasons": {"4": "one symbol: level 4 is level 3"}}, "ruin": ruin}


def _level(level, found, own, loss):
    accounts, held = accounts_told(found.account, 365.0, loss, found.depth), accounts_told(found.hold, 365.0, loss)
    begin = 19_858 * DAY
    fan = fan_told(own.account.fan, own.shown, dates_of(begin, begin + (own.shown + 1) * DAY))
    told = {
        "name": NAMES[level], "paths": PATHS, "days": YEAR, "bars": 8_760, **accounts,
        "liquidated": share_told(proportion(0, PATHS)), "never_traded": share_told(proportion(0, PATHS)),
        "round_trips": spread_told(found.trips.astype(float), ""), "hold": held,
        "fan": fan | {"hold": fan_told(own.account.fan, own.shown)["equity"]},
        "fit": {"parameters": {}, "notes": ["persistence was cut"]}, "notes": [], "reasons": {},
    }  # fmt: skip
    return told | {"worry": paths_worry(told, 0.25)}
