"""What the page says of bad days, size and age."""

from wfbt.report.capacity import capacity_sentences, capacity_worry, decay_sentences
from wfbt.report.stress import stress_sentences


def row(name, loss, change=-0.1, liquidations=0, within=True):
    return {
        "name": name, "loss": loss, "return_change": change, "liquidations": liquidations, "shortfall": 0.0,
        "within_mandate": within,
    }  # fmt: skip


def stress(*rows):
    worst = max(rows, key=lambda one: one["loss"])["name"] if rows else None
    return {"scenarios": list(rows), "worst": worst, "max_stress_loss": 0.5}


def test_a_loss_beyond_the_mandate_and_a_liquidation_are_named():
    said = " ".join(stress_sentences(stress(row("crash", 0.9, liquidations=1, within=False), row("outage", 0.1))))
    assert "The worst is crash: 90.0%" in said
    assert "Beyond the mandate: crash." in said
    assert "liquidated the account in crash" in said


def test_harmless_days_are_called_harmless_and_helpful_ones_suspicious():
    assert "Nothing here worries by itself: nothing was liquidated" in " ".join(
        stress_sentences(stress(row("crash", 0.3), row("outage", 0.1)))
    )
    assert "outage would have paid" in " ".join(stress_sentences(stress(row("crash", 0.3), row("outage", 0.1, 0.4))))
    assert "No scenario could be played" in stress_sentences(stress())[0]


def sized(**given):
    sizes = [{"slippage_bps": 1.0}, {"slippage_bps": 9.0}]
    found = {"half": None, "best": None, "alpha": 0.2, "own_size": 1e5, "impact": True, "caps": True, "sizes": sizes}
    return found | {"reasons": {"half": "90% of it is left", "best": "profit still grows"}} | given


def test_an_account_beyond_its_capacity_is_told_so():
    assert "its own worst enemy" in " ".join(capacity_sentences(sized(half=5e4)))
    assert "its own worst enemy" not in " ".join(capacity_sentences(sized(half=5e6)))
    assert "90% of it is left" in capacity_sentences(sized())[0]
    assert "no limit was tested" in capacity_sentences(sized(impact=False, caps=False))[0]


def test_alpha_that_is_kept_by_orders_that_caps_cut_is_a_worry():
    """Caps keep a large account small: what it keeps is no sign that more money is carried."""
    sizes = [
        {"size": size, "unfilled": unfilled, "retention": 0.9}
        for size, unfilled in ((1e4, 0.05), (1e6, 0.1), (1e8, 0.35))
    ]
    assert "At 100,000,000 35.0% of the orders end short of their goal" in capacity_worry(sized(sizes=sizes))
    assert "end short" in capacity_worry(sized(sizes=sizes, half=5e8))
    assert "end short" not in capacity_worry(sized(sizes=sizes, half=5e7))  # half is gone before it
    assert "end short" not in capacity_worry(sized(sizes=[one | {"unfilled": 0.4} for one in sizes]))


def test_a_signal_that_is_traded_too_late_is_told_so():
    life = {"half_life_hours": 2.0, "low_hours": 0.5, "outlasts": False}
    blind = {
        "half_life_hours": None,
        "low_hours": None,
        "outlasts": None,
        "reasons": {"half_life_hours": "it never moves"},
    }
    told = {"needed_hours": 1.0, "level": 0.95, "signals": {"all": life, "1 sma": blind, "2 sma": blind}}
    said = decay_sentences(told)
    assert "traded too late" in said[0]
    assert said[1] == "No half-life of 1 sma and 2 sma: it never moves."
