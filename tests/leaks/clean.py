"""Rules that know only what they may, each of a kind that a careless detector accuses."""

RULES: dict[str, str] = {
    "ewm": """
def rule(bars):
    return np.sign(bars["close"] - bars["close"].ewm(span=40).mean())
""",
    "ewm_without_adjustment": """
def rule(bars):
    fast, slow = (bars["close"].ewm(halflife=n, adjust=False).mean() for n in (6, 60))
    return np.sign(fast - slow)
""",
    "ewm_deviation": """
def rule(bars):
    mean, spread = bars["close"].ewm(span=50).mean(), bars["close"].ewm(span=50).std()
    return ((mean - bars["close"]) / spread).clip(-1, 1)
""",
    "rolling_mean_and_deviation": """
def rule(bars):
    window = bars["close"].rolling(48)
    return -((bars["close"] - window.mean()) / window.std()).clip(-1, 1)
""",
    "rolling_quantile": """
def rule(bars):
    window = bars["close"].rolling(72)
    high, low = window.quantile(0.9), window.quantile(0.1)
    return pd.Series(np.select([bars["close"] > high, bars["close"] < low], [1.0, -1.0], 0.0), bars.index)
""",
    "rolling_correlation": """
def rule(bars):
    return bars["close"].pct_change().rolling(48).corr(bars["volume"].pct_change()).clip(-1, 1)
""",
    "rolling_apply": """
def rule(bars):
    slope = bars["close"].rolling(24).apply(lambda window: window[-1] - window.mean(), raw=True)
    return np.sign(slope)
""",
    "expanding_mean": """
def rule(bars):
    return np.sign(bars["close"] - bars["close"].expanding(50).mean())
""",
    "expanding_zscore": """
def rule(bars):
    seen = bars["close"].expanding(100)
    return -((bars["close"] - seen.mean()) / seen.std()).clip(-1, 1)
""",
    "expanding_rank": """
def rule(bars):
    return bars["close"].expanding(100).rank(pct=True) * 2 - 1
""",
    "cumulative_maximum": """
def rule(bars):
    return (bars["close"] / bars["close"].cummax() > 0.9).astype(float)
""",
    "talib_ema": """
import talib


def rule(bars):
    close = bars["close"].to_numpy()
    return pd.Series(np.sign(close - talib.EMA(close, 60)), bars.index)
""",
    "talib_rsi": """
import talib


def rule(bars):
    strength = talib.RSI(bars["close"].to_numpy(), 14)
    return pd.Series(np.select([strength < 40, strength > 60], [1.0, -1.0], np.nan), bars.index)
""",
    "talib_adx": """
import talib


def rule(bars):
    high, low, close = (bars[name].to_numpy() for name in ("high", "low", "close"))
    side = np.sign(talib.PLUS_DI(high, low, close) - talib.MINUS_DI(high, low, close))
    return pd.Series(np.where(talib.ADX(high, low, close, 14) > 20, side, 0.0), bars.index)
""",
    "talib_kama": """
import talib


def rule(bars):
    close = bars["close"].to_numpy()
    return pd.Series(np.sign(close - talib.KAMA(close, 30)), bars.index)
""",
    "talib_sar": """
import talib


def rule(bars):
    sar = talib.SAR(bars["high"].to_numpy(), bars["low"].to_numpy(), 0.02, 0.2)
    return pd.Series(np.sign(bars["close"].to_numpy() - sar), bars.index)
""",
    "talib_mama": """
import talib


def rule(bars):
    mama, fama = talib.MAMA(bars["close"].to_numpy())
    return pd.Series(np.sign(mama - fama), bars.index)
""",
    "talib_obv": """
import talib


def rule(bars):
    volume = talib.OBV(bars["close"].to_numpy(), bars["volume"].to_numpy())
    return pd.Series(np.sign(volume - talib.SMA(volume, 48)), bars.index)
""",
    "talib_hilbert": """
import talib


def rule(bars):
    return pd.Series(talib.HT_TRENDMODE(bars["close"].to_numpy()).astype(float), bars.index)
""",
    "macd_and_stops": """
import talib


def rule(bars):
    close = bars["close"].to_numpy()
    _, _, histogram = talib.MACD(close)
    reach = 3 * talib.ATR(bars["high"].to_numpy(), bars["low"].to_numpy(), close, 14)
    known = ~np.isnan(histogram) & ~np.isnan(reach)
    target = np.where(known, np.sign(histogram), np.nan)
    columns = {"target": target, "stop": np.where(known, reach, np.nan), "take": np.where(known, 2 * reach, np.nan)}
    return pd.DataFrame(columns, bars.index)
""",
    "holes": """
def rule(bars):
    target = np.sign(bars["close"].diff(12))
    return target.where(bars.index.hour % 6 == 0)
""",
    "a_loop_with_a_position": """
def rule(bars):
    held, out = 0.0, []
    mean = bars["close"].rolling(48).mean()
    for price, level in zip(bars["close"], mean):
        if price > level * 1.01:
            held = 1.0
        elif price < level * 0.99:
            held = 0.0
        out.append(held)
    return pd.Series(out, bars.index)
""",
    "a_counter_from_the_first_bar": """
def rule(bars):
    return pd.Series(np.where(np.arange(len(bars)) // 36 % 2 == 0, 1.0, -1.0), bars.index)
""",
    "seeded_draws": """
def rule(bars):
    rng = np.random.default_rng(7)
    return pd.Series(np.sign(rng.normal(size=len(bars))), bars.index)
""",
    "the_clock": """
def rule(bars):
    return pd.Series(np.where(bars.index.hour < 8, 1.0, 0.0), bars.index)
""",
    "yesterday_resampled": """
def rule(bars):
    daily = bars["close"].resample("1D", closed="right", label="right").last()
    known = daily.reindex(bars.index.union(daily.index)).ffill().reindex(bars.index)
    whole = known.where(bars.index >= daily.index[0])
    done = whole.shift(24)
    return np.sign(bars["close"] - done)
""",
    "funding_as_it_was_known": """
def rule(bars):
    return -np.sign(bars["funding"].rolling(24).mean())
""",
    "orders": """
def rule(bars):
    mean, reach = bars["close"].rolling(24).mean(), (bars["high"] - bars["low"]).rolling(24).mean()
    target = (bars["close"] < mean).astype(float).where(mean.notna())
    limit = bars["close"] + reach.where(target == 0, -reach)
    return pd.DataFrame({"target": target, "limit": limit, "expire": 6.0}, bars.index)
""",
    "matrix_product": """
def rule(bars):
    lags = np.column_stack([bars["close"].pct_change().shift(n).fillna(0.0) for n in range(40)])
    weights = np.linspace(1, -1, 40)
    return pd.Series((lags @ weights * 50).clip(-1, 1), bars.index)
""",
    "convolution": """
def rule(bars):
    returns = bars["close"].pct_change().fillna(0.0).to_numpy()
    smooth = np.convolve(returns, np.ones(24) / 24)[: len(bars)]
    return pd.Series(np.sign(smooth), bars.index)
""",
    "filter": """
from scipy.signal import lfilter


def rule(bars):
    returns = bars["close"].pct_change().fillna(0.0).to_numpy()
    return pd.Series(np.sign(lfilter([0.05], [1.0, -0.95], returns)), bars.index)
""",
    "kalman": """
def rule(bars):
    level, spread, out = None, 1.0, []
    for price in np.log(bars["close"]):
        level = price if level is None else level
        spread += 1e-5
        gain = spread / (spread + 1e-3)
        level, spread = level + gain * (price - level), (1 - gain) * spread
        out.append(np.sign(price - level))
    return pd.Series(out, bars.index)
""",
    "needs_five_hundred_bars": """
def rule(bars):
    if len(bars) < 500:
        raise ValueError("too short")
    return np.sign(bars["close"].diff(12))
""",
    "scales_on_training_rows": """
class rule:
    def fit(self, bars):
        moves = bars["close"].pct_change()
        self.mean, self.spread = moves.mean(), moves.std()

    def targets(self, bars):
        return ((self.mean - bars["close"].pct_change()) / self.spread).clip(-1, 1)
""",
    "least_squares_on_training_rows": """
def lags(bars):
    return np.column_stack([bars["close"].pct_change().shift(n).fillna(0.0) for n in range(8)])


class rule:
    def fit(self, bars):
        later = bars["close"].pct_change().shift(-1).fillna(0.0)
        self.weights = np.linalg.lstsq(lags(bars), later, rcond=None)[0]

    def targets(self, bars):
        return pd.Series(np.sign(lags(bars) @ self.weights), bars.index)
""",
    "a_forest_on_training_rows": """
from sklearn.tree import DecisionTreeClassifier


def lags(bars):
    return np.column_stack([bars["close"].pct_change().shift(n).fillna(0.0) for n in range(4)])


class rule:
    def fit(self, bars):
        up = (bars["close"].shift(-1) > bars["close"]).iloc[:-1]
        self.tree = DecisionTreeClassifier(max_depth=4, random_state=0).fit(lags(bars)[:-1], up)

    def targets(self, bars):
        return pd.Series(np.where(self.tree.predict(lags(bars)), 1.0, -1.0), bars.index)
""",
    "a_cache_of_what_was_asked": """
MEANS = {}


def rule(bars):
    key = (len(bars), float(bars["close"].sum()), float(bars["close"].iloc[-1]))
    if key not in MEANS:
        MEANS[key] = bars["close"].rolling(48).mean()
    return np.sign(bars["close"] - MEANS[key].to_numpy())
""",
}
