"""The same work in other backtesters: an SMA 20/50 cross, long or flat, all in, 10 bps, from bars to the last equity.

    python benchmarks/peers.py [ROWS]

Each peer runs in its own vocabulary where it is installed, for as many bars as it does in some seconds.  Models differ
(when a cross fills, how an all-in order is sized), so before the timing final equities over a short span are held to
each other within a few per cent; `kernels.py` and `sweep.py` compare to 1e-9 where models agree.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import warnings
from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent))
from kernels import market
from machine import describe, row

import wfbt
from wfbt.data.market import MINUTE

MIDNIGHT = 1_600_041_600_000_000_000  # 2020-09-14; some peers know no 1970
CASH, FEE, FAST, SLOW = 1e6, 0.001, 20, 50
DAY_MINUTES = 1_440
CHECKED, CLOSE_ENOUGH = 2 * DAY_MINUTES, 0.05


def frame(data: wfbt.Market) -> pd.DataFrame:
    """OHLCV by the open of the bar, as peers want it."""
    bars = data.instruments[0].bars
    index = pd.DatetimeIndex(pd.to_datetime(bars.open_ts + MIDNIGHT, unit="ns"), name="date")
    columns = {name.title(): getattr(bars, name) for name in ("open", "high", "low", "close", "volume")}
    return pd.DataFrame(columns, index=index)


def ours(data: wfbt.Market) -> float:
    """Indicators, intents, replay and the whole ledger."""
    ledger = wfbt.backtest(
        data,
        _cross(data.instruments[0].bars.close),
        costs=wfbt.Costs(maker_bps=FEE * 1e4, taker_bps=FEE * 1e4, half_spread_bps=0, impact=None),
        account=wfbt.Account(cash=CASH, maintenance=0.0),
        sizing=wfbt.Sizing(price="fill"),
    )
    return float(ledger.equity[-1])


def _cross(close: np.ndarray) -> np.ndarray:
    from wfbt.features.indicators import sma

    return (sma(close, FAST) > sma(close, SLOW)).astype(float)


def with_backtesting(data: pd.DataFrame) -> float:
    from backtesting import Backtest, Strategy

    def mean(values: np.ndarray, n: int) -> np.ndarray:
        return pd.Series(values).rolling(n).mean().to_numpy()

    class Cross(Strategy):
        def init(self) -> None:
            self.fast = self.I(mean, self.data.Close, FAST)
            self.slow = self.I(mean, self.data.Close, SLOW)

        def next(self) -> None:
            if self.fast[-1] > self.slow[-1]:
                if not self.position:
                    self.buy(size=0.998)
            elif self.position:
                self.position.close()

    return float(Backtest(data, Cross, cash=CASH, commission=FEE, finalize_trades=True).run()["Equity Final [$]"])


def with_bt(data: pd.DataFrame) -> float:
    import bt

    close = data[["Close"]].rename(columns={"Close": "x"})
    above = close.rolling(FAST).mean() > close.rolling(SLOW).mean()
    # bt trades at the close on which it decides; a bar later is the next open, all but the gap.
    weights = above.astype(float).shift(1).fillna(0.0)
    changes = weights[weights["x"] != weights["x"].shift(1)]
    strategy = bt.Strategy("cross", [bt.algos.WeighTarget(changes), bt.algos.Rebalance()])
    test = bt.Backtest(
        strategy, close, initial_capital=CASH, integer_positions=False,
        commissions=lambda quantity, price: abs(quantity) * price * FEE, progress_bar=False,
    )  # fmt: skip
    test.run()
    return float(test.strategy.values.iloc[-1])


def with_backtrader(data: pd.DataFrame) -> float:
    import backtrader as bt

    class Cross(bt.Strategy):
        def __init__(self) -> None:
            self.fast, self.slow = bt.ind.SMA(period=FAST), bt.ind.SMA(period=SLOW)

        def next(self) -> None:
            if self.fast[0] > self.slow[0]:
                if not self.position:
                    self.order_target_percent(target=0.99)
            elif self.position:
                self.close()

    engine = bt.Cerebro(stdstats=False)
    engine.addstrategy(Cross)
    engine.adddata(bt.feeds.PandasData(dataname=data.rename(columns=str.lower), timeframe=bt.TimeFrame.Minutes))
    engine.broker.setcash(CASH)
    engine.broker.setcommission(commission=FEE)
    engine.run()
    return float(engine.broker.getvalue())


def with_zipline(data: pd.DataFrame) -> float:
    import zipline.api as z
    from zipline.data.bundles import ingest, register
    from zipline.finance.commission import PerDollar
    from zipline.finance.slippage import NoSlippage
    from zipline.utils.calendar_utils import get_calendar
    from zipline.utils.run_algo import run_algorithm

    days = -(-len(data) // DAY_MINUTES)
    table = data.rename(columns=str.lower).tz_localize("UTC")
    daily = table.resample("1D").agg(
        {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    ).tz_localize(None)  # fmt: skip
    first, last = daily.index[0], daily.index[-1]

    def write(environ, assets, minutes, by_day, adjustments, calendar, start, end, cache, show, folder) -> None:
        assets.write(
            equities=pd.DataFrame(
                {"symbol": ["X"], "asset_name": ["X"], "start_date": [first], "end_date": [last], "exchange": ["SIM"]}
            ),
            exchanges=pd.DataFrame({"exchange": ["SIM"], "canonical_name": ["SIM"], "country_code": ["US"]}),
        )
        minutes.write([(0, table)])
        by_day.write([(0, daily.assign(volume=daily["volume"] / 1e3))])
        adjustments.write()

    def begin(context) -> None:
        context.x, context.closes = z.symbol("X"), deque(maxlen=SLOW)
        z.set_commission(PerDollar(cost=FEE))
        z.set_slippage(NoSlippage())

    def bar(context, now) -> None:
        context.closes.append(now.current(context.x, "close"))  # asking for history costs five times as much
        if len(context.closes) < SLOW:
            return
        closes = np.array(context.closes)
        held = context.portfolio.positions[context.x].amount
        if closes[-FAST:].mean() > closes.mean():
            if not held:
                z.order_target_percent(context.x, 0.99)
        elif held:
            z.order_target(context.x, 0)

    with tempfile.TemporaryDirectory() as root:
        environ = {**os.environ, "ZIPLINE_ROOT": root}
        register(
            f"bars{days}", write, calendar_name="24/7", start_session=first, end_session=last,
            minutes_per_day=DAY_MINUTES,
        )  # fmt: skip
        ingest(f"bars{days}", environ, show_progress=False)
        flat = pd.Series(0.0, daily.index.tz_localize("UTC"))
        told = run_algorithm(
            start=first, end=last, initialize=begin, handle_data=bar, capital_base=CASH, data_frequency="minute",
            bundle=f"bars{days}", trading_calendar=get_calendar("24/7"), benchmark_returns=flat, environ=environ,
        )  # fmt: skip
    return float(told["portfolio_value"].iloc[-1])


def with_nautilus(data: pd.DataFrame) -> float:
    from decimal import Decimal

    from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
    from nautilus_trader.config import LoggingConfig
    from nautilus_trader.model.currencies import BTC, USDT
    from nautilus_trader.model.data import BarType
    from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
    from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
    from nautilus_trader.model.instruments import CurrencyPair
    from nautilus_trader.model.objects import Money, Price, Quantity
    from nautilus_trader.persistence.wranglers import BarDataWrangler
    from nautilus_trader.trading.strategy import Strategy

    venue = Venue("SIM")
    pair = CurrencyPair(
        instrument_id=InstrumentId(Symbol("BTCUSDT"), venue), raw_symbol=Symbol("BTCUSDT"), base_currency=BTC,
        quote_currency=USDT, price_precision=4, size_precision=4, price_increment=Price(1e-4, 4),
        size_increment=Quantity(1e-4, 4), ts_event=0, ts_init=0, maker_fee=Decimal(str(FEE)),
        taker_fee=Decimal(str(FEE)),
    )  # fmt: skip
    kind = BarType.from_str("BTCUSDT.SIM-1-MINUTE-LAST-EXTERNAL")

    class Cross(Strategy):
        def __init__(self) -> None:
            super().__init__()
            self.closes: list[float] = []
            self.fast_sum = self.slow_sum = 0.0

        def on_start(self) -> None:
            self.subscribe_bars(kind)

        def on_bar(self, bar) -> None:
            self.closes.append(float(bar.close))
            self.fast_sum += self.closes[-1] - (self.closes[-FAST - 1] if len(self.closes) > FAST else 0.0)
            self.slow_sum += self.closes[-1] - (self.closes[-SLOW - 1] if len(self.closes) > SLOW else 0.0)
            if len(self.closes) < SLOW:
                return
            flat = self.portfolio.is_flat(pair.id)
            if self.fast_sum / FAST > self.slow_sum / SLOW:
                if flat:
                    cash = float(self.portfolio.account(venue).balance_free(USDT))
                    size = Quantity(0.99 * cash / self.closes[-1], 4)
                    self.submit_order(self.order_factory.market(pair.id, OrderSide.BUY, size))
            elif not flat:
                self.close_all_positions(pair.id)

    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    engine.add_venue(
        venue, OmsType.NETTING, AccountType.CASH, starting_balances=[Money(CASH, USDT), Money(0, BTC)],
    )  # fmt: skip
    engine.add_instrument(pair)
    table = data.rename(columns=str.lower).tz_localize("UTC")
    engine.add_data(BarDataWrangler(kind, pair).process(table))
    engine.add_strategy(Cross())
    engine.run()
    account = engine.cache.account_for_venue(venue)
    return float(account.balance_total(USDT)) + float(account.balance_total(BTC)) * float(data["Close"].iloc[-1])


PEERS: dict[str, tuple[Callable[[pd.DataFrame], float], int]] = {
    "backtesting.py": (with_backtesting, 100_800),
    "bt": (with_bt, 50_400),
    "backtrader": (with_backtrader, 20_160),
    "zipline": (with_zipline, 20_160),
    "nautilus_trader": (with_nautilus, 50_400),
}
"""And how many bars each is given, so that it takes seconds and not minutes.  What zipline ingests is in its time."""


def seconds(work: Callable[[], float], repeats: int) -> float:
    """Least wall seconds."""
    taken = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return min(taken)


def main() -> None:
    warnings.simplefilter("ignore")
    print(describe())
    most = int(sys.argv[1]) if len(sys.argv) > 1 else None
    short = market(CHECKED, MINUTE)
    expected = ours(short)
    whole = market(1_000_000, MINUTE)
    own = 1_000_000 / seconds(lambda: ours(whole), 3)
    print(f"{'wfbt':<18}{own:>14,.0f} bars a second, the ledger included")
    for name, (peer, rows) in PEERS.items():
        rows = most or rows
        try:
            equity = peer(frame(short))
        except ImportError:
            print(f"{name:<18}{'not installed':>14}")
            continue
        apart = abs(equity / expected - 1.0)
        table = frame(market(rows, MINUTE))
        speed = rows / seconds(lambda: peer(table), 2)  # noqa: B023
        print(f"{name:<18}{speed:>14,.0f} bars a second, {rows:,} bars; wfbt is {own / speed:,.0f} x faster")
        row(
            f"    final equity after {CHECKED:,} bars, apart",
            f"{apart:.1%}",
            f"<= {CLOSE_ENOUGH:.0%}",
            apart <= CLOSE_ENOUGH,
        )


if __name__ == "__main__":
    main()
