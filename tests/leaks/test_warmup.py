import pytest

from tests.leaks.looking import strategy
from tests.runs import write_study
from wfbt.checks import check_warmup


def bars_of(told, name="target"):
    (one,) = [one for one in told["columns"] if one["name"] == name]
    return one["bars"]


@pytest.mark.parametrize("n", [24, 100])
def test_a_window_warms_up_in_its_length(n, tmp_path):
    source = f"""
def rule(bars):
    return np.sign(bars["close"] - bars["close"].rolling({n}).mean())
"""
    told = check_warmup(strategy(tmp_path, source))
    assert n - 2 <= bars_of(told) <= n - 1
    assert told["given"] == 60 * 24
    assert told["notes"] == []


def test_a_number_that_hangs_on_the_first_bar_never_warms_up(tmp_path):
    source = """
def rule(bars):
    return (bars["close"] / bars["close"].iloc[0]).clip(0, 2) / 2
"""
    told = check_warmup(strategy(tmp_path, source))
    assert bars_of(told) is None
    assert "remembers all its past" in told["notes"][0]


def test_an_average_that_fades_warms_up_sooner_with_more_tolerance(tmp_path):
    source = """
def rule(bars):
    return (bars["close"] / bars["close"].ewm(span=20, adjust=False).mean() - 1).clip(-1, 1)
"""
    path = strategy(tmp_path, source)
    loose, strict = (bars_of(check_warmup(path, tolerance=one)) for one in (1e-2, 1e-6))
    assert 20 < loose < strict < 250


def test_a_built_in_says_its_warm_up_for_every_column(tmp_path):
    told = check_warmup(write_study(tmp_path, policy={"rule": "ema_rsi_adx", "search": {"fast": [6], "slow": [18]}}))
    names = [one["name"] for one in told["columns"] if one["kind"] == "intent"]
    assert names == ["target", "stop", "take"]
    assert bars_of(told, "funding") == 0
