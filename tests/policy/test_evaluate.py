import numpy as np
import pandas as pd
import pytest

from wfbt.errors import ConfigError, PolicyError
from wfbt.policy.base import Columns, Rule, evaluate, load_rule


@pytest.fixture
def rule_of(tmp_path):
    """Load the `rule` of some source text, as a user's file would be."""

    def load(source: str) -> Rule:
        (tmp_path / "own.py").write_text("import numpy as np\nimport pandas as pd\n" + source)
        return load_rule("own.py:rule", tmp_path)

    return load


def test_a_plain_function_gives_one_target_per_bar(rule_of, walk):
    frame = walk(50, seed=1)
    rule = rule_of("def rule(bars, n=24):\n    return (bars['close'].pct_change(n) > 0).astype(float)\n")
    out = evaluate(rule, {"BTC": frame}, {"n": 3})["BTC"]
    expected = [1.0 if t >= 3 and frame["close"].iloc[t] > frame["close"].iloc[t - 3] else 0.0 for t in range(50)]
    np.testing.assert_array_equal(out.target, expected)
    assert out.stop is out.take is out.trail is out.limit is out.expire is None


def test_an_array_and_whole_numbers_are_targets_too(rule_of, walk):
    out = evaluate(rule_of("def rule(bars):\n    return np.arange(len(bars))\n"), {"BTC": walk(4, seed=1)}, {})
    np.testing.assert_array_equal(out["BTC"].target, [0.0, 1.0, 2.0, 3.0])


def test_a_frame_gives_every_column_of_an_intent(rule_of, walk):
    source = """
def rule(bars):
    out = pd.DataFrame({"target": 1.0, "limit": bars["close"] - 1}, index=bars.index)
    return out.assign(stop=2.0, take=np.nan, trail=3.5, expire=4)
"""
    frame = walk(5, seed=1)
    out = evaluate(rule_of(source), {"BTC": frame}, {})["BTC"]
    np.testing.assert_array_equal(out.limit, frame["close"] - 1)
    assert (out.stop == 2.0).all()
    assert np.isnan(out.take).all()
    assert (out.trail == 3.5).all()
    assert (out.expire == 4.0).all()


def test_columns_cannot_be_written_to(rule_of, walk):
    out = evaluate(rule_of("def rule(bars):\n    return np.ones(len(bars))\n"), {"BTC": walk(4, seed=1)}, {})["BTC"]
    with pytest.raises(ValueError, match="read-only"):
        out.target[0] = 5.0


def test_columns_of_different_length_are_refused():
    with pytest.raises(PolicyError, match="stop has shape"):
        Columns(target=np.ones(3), stop=np.ones(4))


def test_a_rule_cannot_alter_the_bars_of_others(rule_of, walk):
    source = """
def rule(bars):
    bars.loc[:, "close"] = 0.0
    bars["mine"] = 1.0
    bars.index.name = "changed"
    del bars["volume"]
    return np.zeros(len(bars))
"""
    frame = walk(30, seed=1)
    before = frame.copy()
    evaluate(rule_of(source), {"BTC": frame}, {})
    pd.testing.assert_frame_equal(frame, before)
    assert frame.index.name == "ts"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return None", "returned nothing; return a Series or array of targets"),
        ("return 1.0", "returned a float"),
        ("return [1.0] * len(bars)", "returned a list"),
        ("return bars['close'].dropna().iloc[3:]", "returned 17 rows for 20 bars"),
        ("return np.ones(21)", "returned 21 rows for 20 bars"),
        ("return np.ones((20, 1))", r"returned an array of shape \(20, 1\)"),
        ("return pd.Series(np.ones(20))", "returned an index of int64; keep the index of bars"),
        ("return pd.Series(np.ones(20), index=bars.index.tz_localize(None))", "returned an index of datetime64"),
        (
            "return pd.Series(np.ones(20), index=bars.index[:7].append(bars.index[7:] + pd.Timedelta('1h')))",
            "row 7 is stamped 2023-01-01 09:00:00Z, its bar closes at 2023-01-01 08:00:00Z",
        ),
        ("return bars['close'] > 0", r"target has dtype bool, not numbers; a condition becomes a target with \.astype"),
        ("return bars['close'].astype(str)", "target has dtype .*, not numbers; return numbers"),
        ("return bars['close'] * 1j", "target has dtype complex128"),
        (
            "x = np.ones(20); x[5] = np.inf; x[9] = -np.inf; return x",
            r"target is inf at row 5 \(2023-01-01 06:00:00Z\) and 1 rows more; use NaN",
        ),
        ("return bars[['close']]", "returned a column 'close'; columns may be target, limit, stop"),
        ("return bars[['close']].set_axis(['tagret'], axis=1)", "returned a column 'tagret', did you mean target"),
        ("return bars[['close']].set_axis(['stop'], axis=1)", "without a target column; it holds stop"),
        ("return bars[[]]", "without a target column; it holds nothing"),
        ("return bars[['close', 'open']].set_axis(['target', 'target'], axis=1)", "two columns named target"),
    ],
)
def test_what_is_no_intent_is_refused_in_words(rule_of, walk, body, message):
    with pytest.raises(PolicyError, match=rf"^own\.py:rule: BTC: .*{message}"):
        evaluate(rule_of(f"def rule(bars):\n    {body}\n"), {"BTC": walk(20, seed=1)}, {})


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("stop", 0.0, "stop is 0.0 at row 3 .*a distance in price units > 0"),
        ("take", -1.0, "take is -1.0 at row 3 .*a distance in price units > 0"),
        ("trail", np.inf, "trail is inf at row 3 .*use NaN"),
        ("limit", -5.0, "limit is -5.0 at row 3 .*a price > 0"),
        ("expire", 0.0, "expire is 0.0 at row 3 .*whole number of bars >= 1"),
        ("expire", 1.5, "expire is 1.5 at row 3 .*whole number of bars >= 1"),
    ],
)
def test_an_impossible_distance_is_refused_with_row_and_time(rule_of, walk, column, value, message):
    rule = rule_of(
        "def rule(bars, column, value):\n"
        "    out = pd.DataFrame({'target': 1.0, column: 2.0}, index=bars.index)\n"
        "    out.iloc[3, 1] = value\n"
        "    return out\n"
    )
    with pytest.raises(PolicyError, match=f"own.py:rule: BTC: {message}"):
        evaluate(rule, {"BTC": walk(20, seed=1)}, {"column": column, "value": value})


def test_an_exception_inside_a_rule_names_file_line_and_text(rule_of, walk):
    rule = rule_of("def rule(bars):\n    n = 0\n    return len(bars) / n\n")
    with pytest.raises(PolicyError, match=r"^own\.py:rule: own\.py:5: ZeroDivisionError: division by zero$"):
        evaluate(rule, {"BTC": walk(20, seed=1)}, {})


def test_only_the_first_line_of_an_exception_is_told(rule_of, walk):
    rule = rule_of("def rule(bars):\n    raise ValueError('first\\nsecond')\n")
    with pytest.raises(PolicyError, match=r"own\.py:4: ValueError: first$"):
        evaluate(rule, {"BTC": walk(20, seed=1)}, {})


def test_a_rule_that_ends_the_program_is_an_error(rule_of, walk):
    with pytest.raises(PolicyError, match=r"own\.py:4: SystemExit: 0"):
        evaluate(rule_of("def rule(bars):\n    raise SystemExit(0)\n"), {"BTC": walk(20, seed=1)}, {})


def test_an_error_inside_a_library_is_laid_to_the_line_that_called_it(rule_of, walk):
    rule = rule_of("def rule(bars):\n    return bars['closing']\n")
    with pytest.raises(PolicyError, match=r"own\.py:4: KeyError: 'closing'$"):
        evaluate(rule, {"BTC": walk(20, seed=1)}, {})


STRONGEST = """
def rule(bars, n=5):
    rise = pd.DataFrame({symbol: frame["close"].pct_change(n) for symbol, frame in bars.items()})
    return rise.eq(rise.max(axis=1), axis=0).astype(float).where(rise.notna())
"""


def test_several_symbols_arrive_as_a_dict_and_leave_as_columns(rule_of, walk):
    frames = {"A": walk(60, seed=1), "B": walk(60, seed=2)}
    out = evaluate(rule_of(STRONGEST), frames, {})
    rise = {symbol: frame["close"].to_numpy()[5:] / frame["close"].to_numpy()[:-5] for symbol, frame in frames.items()}
    np.testing.assert_array_equal(out["A"].target[5:], (rise["A"] > rise["B"]).astype(float))
    np.testing.assert_array_equal(out["A"].target[5:] + out["B"].target[5:], np.ones(55))


def test_symbols_with_other_bars_get_the_rows_of_their_own(rule_of, walk):
    late = walk(60, seed=2).iloc[20:]
    out = evaluate(rule_of(STRONGEST), {"A": walk(60, seed=1).drop(late.index[7]), "B": late}, {})
    assert len(out["A"]) == 59
    assert len(out["B"]) == 40
    assert np.isfinite(out["B"].target[6:]).all()


def test_a_target_where_a_symbol_has_no_bar_is_refused(rule_of, walk):
    source = "def rule(bars):\n    return pd.DataFrame({s: f['close'] for s, f in bars.items()}).fillna(0.5)\n"
    frames = {"A": walk(10, seed=1), "B": walk(10, seed=2).iloc[4:]}
    with pytest.raises(PolicyError, match=r"B: target is 0\.5 at 2023-01-01 01:00:00Z, where it has no bar"):
        evaluate(rule_of(source), frames, {})


def test_a_dict_may_give_each_symbol_its_own_intents(rule_of, walk):
    source = """
def rule(bars):
    a = pd.DataFrame({"target": 0.5, "stop": 3.0}, index=bars["A"].index)
    return {"A": a, "B": np.full(len(bars["B"]), -0.25)}
"""
    out = evaluate(rule_of(source), {"A": walk(10, seed=1), "B": walk(7, seed=2)}, {})
    assert (out["A"].stop == 3.0).all()
    assert out["B"].stop is None
    np.testing.assert_array_equal(out["B"].target, np.full(7, -0.25))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return bars['A']['close']", "returned a Series for 2 symbols; return a DataFrame with one column per symbol"),
        ("return {'A': bars['A']['close']}", "returned nothing for B"),
        ("return dict.fromkeys(['A', 'B', 'C'], np.ones(10))", "returned 'C', which is no symbol of this run"),
        ("return pd.DataFrame({'A': 1.0, 'B': 1.0}, index=range(10))", "all symbols: returned an index of int64"),
        ("return bars['close']", "with several symbols a rule receives a dict symbol -> DataFrame"),
    ],
)
def test_wrong_answers_for_several_symbols_are_refused(rule_of, walk, body, message):
    with pytest.raises(PolicyError, match=message):
        evaluate(rule_of(f"def rule(bars):\n    {body}\n"), {"A": walk(10, seed=1), "B": walk(10, seed=2)}, {})


FITTED = """
class rule:
    def fit(self, bars, quantile=0.5):
        self.low = bars["close"].quantile(quantile)
        self.rows = len(bars)
        bars["close"] = 0.0

    def targets(self, bars):
        return np.where(bars["close"] < self.low, self.rows, 0.0)
"""


def test_a_class_is_fitted_on_training_rows_only(rule_of, walk):
    frame = walk(100, seed=3)
    rule = rule_of(FITTED)
    train = frame.index[20:60].asi8
    out = evaluate(rule, {"A": frame}, {"quantile": 0.3}, train)["A"]
    low = frame["close"].iloc[20:60].quantile(0.3)
    np.testing.assert_array_equal(out.target, np.where(frame["close"] < low, 40.0, 0.0))
    altered = frame.copy()
    altered.iloc[60:] *= 5.0
    np.testing.assert_array_equal(
        evaluate(rule, {"A": altered}, {"quantile": 0.3}, train)["A"].target[:60], out.target[:60]
    )


def test_a_class_without_training_rows_is_refused(rule_of, walk):
    frame = walk(100, seed=3)
    with pytest.raises(PolicyError, match=r"own\.py:rule is fitted, so it needs training rows"):
        evaluate(rule_of(FITTED), {"A": frame}, {})
    with pytest.raises(PolicyError, match="no training row of A"):
        evaluate(rule_of(FITTED), {"A": frame}, {}, np.array([5], dtype=np.int64))


def test_each_evaluation_fits_a_new_instance(rule_of, walk):
    rule = rule_of(
        "class rule:\n    seen = 0\n"
        "    def fit(self, bars):\n        self.seen += 1\n"
        "    def targets(self, bars):\n        return np.full(len(bars), float(self.seen))\n"
    )
    frame = walk(10, seed=1)
    for _ in range(2):
        assert (evaluate(rule, {"A": frame}, {}, frame.index.asi8)["A"].target == 1.0).all()


def test_parameters_a_rule_calls_invalid_are_refused(rule_of, walk):
    rule = rule_of("def rule(bars, a=1, b=2):\n    return np.ones(len(bars))\nrule.valid = lambda a, b: a < b\n")
    evaluate(rule, {"A": walk(5, seed=1)}, {"a": 1})
    with pytest.raises(ConfigError, match=r"own\.py:rule has no meaning with a 2, b 2"):
        evaluate(rule, {"A": walk(5, seed=1)}, {"a": 2})
