"""index.html: complete, honest, safe with hostile names, and alone."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from plotly.offline import get_plotlyjs

from tests.report.conftest import sleeves
from wfbt.report.formats import METRICS
from wfbt.report.page import LATER, render_index

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7 * 7 }}"


class Reader(HTMLParser):
    """Tags, attributes and visible text; what stands in script and style apart."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.code, self._inside = [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        (self.code if self._inside in ("script", "style") else self.text).append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def render(run) -> str:
    return render_index(run.result, run.curves, run.trades)


def without_plotly(html: str) -> str:
    library = get_plotlyjs()
    assert html.count(library) == 1
    return html.replace(library, "")


def figure(html: str, name: str) -> dict:
    found = re.search(rf'<script type="application/json" id="figure-{name}">(.*?)</script>', html, re.DOTALL)
    assert found is not None, name
    return json.loads(found.group(1))


def test_the_page_shows_every_headline_number_beside_buy_and_hold(fake):
    run = fake(folds=4, days=200)
    text = Reader(render(run)).words
    for _, words, _ in METRICS:
        assert words in text
    assert f"{run.result['oos']['sharpe']:.2f}" in text
    assert f"{run.result['benchmark']['max_drawdown']:.1%}" in text


def test_the_page_asks_no_other_host_and_stays_below_six_megabytes(fake):
    html = render(fake(folds=12, days=1440))
    assert len(html.encode()) < 6_000_000
    rest = without_plotly(html)
    assert not re.search(r"https?:|//[a-z]|@import|url\(", rest)
    for tag, attributes in Reader(rest).tags:
        assert tag not in ("link", "iframe", "img", "object", "embed"), tag
        assert not {"src", "action", "srcset"} & set(attributes), (tag, attributes)


def test_no_button_sends_a_chart_to_a_server(fake):
    rest = without_plotly(render(fake(folds=1, days=40)))
    assert 'modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]]' in rest


def test_hostile_names_stay_text(fake):
    run = fake(folds=2, days=60, symbols=(HOSTILE,), name=HOSTILE)
    for number, fold in enumerate(run.result["folds"]):
        fold["params"] = {HOSTILE: f"{HOSTILE}{number}"}
    run.result["notes"] = [HOSTILE]
    run.result["assumptions"] = [{"key": HOSTILE, "value": HOSTILE, "note": HOSTILE}]
    run.result["oos"] |= {"sharpe": None, "reasons": {"sharpe": HOSTILE}}
    html = render(run)
    page = Reader(without_plotly(html))
    assert HOSTILE in page.words
    assert [tag for tag, _ in page.tags if tag == "img"] == []
    assert all("onerror" not in attributes for _, attributes in page.tags)
    assert not any(code.strip().startswith("alert(") for code in page.code)
    titles = figure(html, "parameters")["layout"]["annotations"]
    assert titles[0]["text"].startswith("&lt;script&gt;")  # plotly reads markup in labels


def test_a_missing_number_is_a_dash_with_its_reason_as_tooltip_and_footnote(all_missing):
    page = Reader(without_plotly(render(all_missing)))
    why = "60 days are too few"
    dashes = [attributes for tag, attributes in page.tags if tag == "td" and attributes.get("title") == why]
    # All but the days for strategy and benchmark, and eight numbers of each fold.
    assert len(dashes) == 2 * (len(METRICS) - 1) + 2 * 8
    notes = [attributes["id"] for tag, attributes in page.tags if tag == "li" and "id" in attributes]
    assert notes == [f"note-{number + 1}" for number in range(len(notes))]
    links = {attributes["href"] for tag, attributes in page.tags if tag == "a" and attributes["href"].startswith("#")}
    assert links == {f"#{note}" for note in notes}
    assert "What it earned out of sample is not known: 60 days are too few." in page.words


def cost_section(run) -> str:
    text = Reader(without_plotly(render(run))).words
    return text[text.index("What it cost") : text.index("Round trips There") if "Round trips There" in text else None]


def test_the_ladder_goes_from_the_ideal_to_the_run_with_what_each_step_changed(fake):
    text = cost_section(fake(folds=2, days=60))
    assert "Ideal +50.0% +11.0% 1.20 20.0% 400" in text
    assert "+ fees and spread +42.0% -8.00 pp +9.0% 1.10 -0.10 21.0% 400" in text
    assert "As configured +18.0% 0.00 pp +3.0% 0.80 0.00 24.0% 400" in text
    assert "Its return would be zero at 1.83 times its trading costs: 12.1 bps of what it traded" in text


def test_a_step_of_the_ladder_says_what_was_not_given_for_it(fake):
    run = fake(folds=2, days=60)
    run.result["realism"]["ladder"][4]["note"] = "none was given for AAA"
    assert "+ funding (none was given for AAA) +18.0%" in cost_section(run)


def test_sleeves_show_their_share_of_the_account_in_every_fold_and_what_they_made(fake):
    run = fake(folds=2, days=60)
    assert "Share of the account" not in Reader(without_plotly(render(run))).words
    run.result["sleeves"] = sleeves()
    text = Reader(without_plotly(render(run))).words
    assert "trend sma_cross AAA, BBB 1,234 +1.2% +50.0% 1.20 20.0% 4" in text
    assert "Fold trend carry 1 60.0% 40.0% 2 0.0% 40.0%" in text
    assert "positions of their own" in text
    assert "By min variance, fitted on each fold's training rows and on nothing else." in text
    run.result["sleeves"]["members"]["trend"] |= {"profit": None, "reasons": {"profit": "the account is netted"}}
    run.result["sleeves"] |= {"netting": True, "method": "fixed"}
    text = Reader(without_plotly(render(run))).words
    assert "the account is netted" in text
    assert "are one position. " in text
    assert "As given in the strategy file." in text


def test_the_causes_stand_in_order_with_their_share_of_what_the_decisions_made(fake):
    text = cost_section(fake(folds=2, days=60))
    assert "At the prices of its decisions 10,500 100.0% Delay -800 -7.6% Spread -812 -7.7%" in text
    assert "Net 2,630 25.0%" in text
    assert "Insurance" not in text  # it paid nothing


def test_what_the_insurance_paid_is_shown_where_it_paid(fake):
    run = fake(folds=2, days=60)
    run.result["attribution"]["by_cause"]["shortfall"] = 250.0
    assert "Insurance 250" in cost_section(run)


def test_orders_short_of_their_goal_show_what_they_would_have_made(fake):
    run = fake(folds=2, days=60, symbols=("BTCUSDT", "ETHUSDT"))
    assert "No order ended short of its goal." in cost_section(run)
    run.result["attribution"]["unfilled"]["ETHUSDT"] = {"orders": 12, "units": 3.25, "missed": -1234.0}
    text = cost_section(run)
    assert "Would have made ETHUSDT 12 3.25 -1,234 Orders that ended short" in text
    assert "No order ended short" not in text


def test_causes_are_split_by_session_always_and_by_symbol_where_there_are_several(fake):
    one, two = (cost_section(fake(folds=2, days=60, symbols=s)) for s in (("BTCUSDT",), ("BTCUSDT", "ETHUSDT")))
    assert "By symbol" not in one
    assert "ETHUSDT 9,000 -400 -300 -150 -2,000 100 0" in two
    assert "Europe -2,500 -300 -300 -150 -2,100 100 0 -5,250 40" in one


def test_bars_too_long_for_a_session_leave_a_reason_in_place_of_the_table(fake):
    run = fake(folds=2, days=60)
    run.result["attribution"] |= {
        "by_session": None,
        "reasons": {"by_session": "bars of 24 h are longer than a session"},
    }
    text = cost_section(run)
    assert "Not split by session: bars of 24 h are longer than a session." in text
    assert "Asia is" not in text


def test_what_could_not_be_replayed_or_taken_apart_says_why(all_missing):
    text = cost_section(all_missing)
    assert "Not replayed: 60 days are too few." in text
    assert "Not taken apart: 60 days are too few." in text


def test_a_step_without_a_number_is_a_dash_with_its_reason(fake):
    run = fake(folds=2, days=60)
    rung = run.result["realism"]["ladder"][2]
    rung |= {"sharpe": None, "reasons": {"sharpe": "20 days are too few"}}
    rung["change"] |= {"sharpe": None, "reasons": {"sharpe": "it is missing here"}}
    page = Reader(without_plotly(render(run)))
    titles = [attributes.get("title") for tag, attributes in page.tags if tag == "td"]
    assert titles.count("20 days are too few") == titles.count("it is missing here") == 1


def test_what_was_not_evaluated_is_listed_with_its_reason(fake):
    run = fake(folds=2, days=60)
    run.result["leakage"] = {"leaks": 0}
    run.result["reasons"]["monte_carlo"] = "switched off"
    text = Reader(render(run)).words
    assert "monte carlo switched off" in text
    assert "leakage" not in text
    for key in set(LATER) - {"leakage"}:
        assert key.replace("_", " ") in text


def test_each_fold_links_to_its_tearsheet(fake):
    page = Reader(render(fake(folds=3, days=90)))
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert [link for link in links if link.startswith("folds/")] == [f"folds/{n:02d}/tearsheet.html" for n in range(3)]
    assert "tearsheet.html" in links


@pytest.mark.parametrize(("made", "linked"), [("oos", ["tearsheet.html"]), ("none", [])])
def test_a_page_links_only_the_tearsheets_that_were_made(made, linked, fake):
    run = fake(folds=3, days=90)
    page = Reader(without_plotly(render_index(run.result, run.curves, run.trades, made)))
    assert [href for _, attrs in page.tags if (href := attrs.get("href") or "").endswith("tearsheet.html")] == linked
    assert "opens its tearsheet" not in page.words


def test_a_run_without_trades_says_so_and_compares_nothing(fake):
    run = fake(folds=1, days=60, trips=0)
    html = render(run)
    text = Reader(without_plotly(html)).words
    assert "There was no round trip." in text
    assert "It never completed a round trip, so nothing can be said of its trades." in text
    assert "neither made nor lost anything" in text
    assert "beat buy-and-hold" not in text
    assert 'id="figure-trades"' not in html
    assert 'id="figure-parameters"' not in html  # one fold: nothing moved


def test_few_round_trips_are_listed_once_and_many_as_best_and_worst(fake):
    few, many = (Reader(render(fake(folds=1, days=60, trips=n))).words for n in (20, 21))
    assert "All round trips, best first" in few
    assert "Worst 10" not in few
    assert "Best 10" in many
    assert "Worst 10" in many
    assert "still open" in few


@pytest.mark.parametrize("symbols", [("BTCUSDT",), ("BTCUSDT", "ETHUSDT", "SOLUSDT")])
def test_exposure_shows_gross_only_where_several_symbols_trade(fake, symbols):
    names = {trace.get("name") for trace in figure(render(fake(folds=2, days=60, symbols=symbols)), "account")["data"]}
    assert ("Gross exposure" in names) == (len(symbols) > 1)
    assert {"Strategy", "Buy and hold", "Net exposure"} <= names


def test_the_same_run_gives_the_same_bytes(fake):
    assert render(fake(folds=3, days=120, seed=5)) == render(fake(folds=3, days=120, seed=5))


def test_every_placeholder_has_its_figure_and_every_figure_its_placeholder(fake, all_missing):
    for run in (fake(folds=3, days=120), all_missing, fake(folds=1, days=40, trips=0)):
        page = Reader(without_plotly(render(run)))
        placeholders = {attributes["data-figure"] for _, attributes in page.tags if "data-figure" in attributes}
        payloads = {
            attributes["id"].removeprefix("figure-")
            for tag, attributes in page.tags
            if tag == "script" and (attributes.get("id") or "").startswith("figure-")
        }
        assert placeholders == payloads


def test_findings_beyond_twenty_are_counted_instead_of_listed(fake):
    run = fake(folds=1, days=40)
    run.result["data"]["BTCUSDT"]["findings"] = [f"finding {n}" for n in range(1500)]
    text = Reader(render(run)).words
    assert "finding 19" in text
    assert "finding 20" not in text
    assert "and 1,480 more" in text


def test_trade_times_may_be_nanoseconds_or_timestamps(fake):
    run = fake(folds=1, days=60, trips=8)
    stamped = run.trades.assign(
        entry_ts=run.trades["entry_ts"].astype("datetime64[ns]").dt.tz_localize("UTC"),
        exit_ts=run.trades["exit_ts"].astype("datetime64[ns]").dt.tz_localize("UTC"),
        direction=np.where(run.trades["direction"] > 0, "long", "short"),
    )
    assert render_index(run.result, run.curves, stamped) == render(run)


def test_the_page_says_how_often_this_was_tried_and_what_that_means(fake):
    run = fake(folds=2, days=60)
    text = Reader(render(run)).words
    assert "Looks at these out-of-sample days, by anyone 5 Looks by this family, at any data 3" in text
    assert "had been looked at 4 times before: judge this result as the best of 5" in text
    run.result["trials"] |= {"looks_by_anyone": 2}
    assert "had been looked at once before: judge this result as the best of 2" in Reader(render(run)).words
    run.result["trials"] |= {"looks_by_anyone": 1}
    assert "This is the first look at these out-of-sample days" in Reader(render(run)).words


def test_a_run_whose_looks_were_not_counted_says_why(fake):
    run = fake(folds=2, days=60)
    run.result["trials"] = None
    run.result["reasons"]["trials"] = "looks were not counted by that version"
    assert "Not counted: looks were not counted by that version." in Reader(render(run)).words


def test_the_page_opens_with_bold_lines_and_a_grouped_list(fake):
    run = fake(folds=2, days=60)
    html = without_plotly(render(run))
    head = html[html.index('<section class="summary">') : html.index("Out of sample against buy-and-hold")]
    assert head.count("<p><strong>") == 2
    assert re.findall(r"<h3>(.*?)</h3>", head) == ["Result", "Luck and looks", "Costs", "Warnings"]
    run.result["events"]["stopped"] = "2021-02-03T00:00:00Z"
    assert "<p><strong>Its drawdown limit stopped it for good on 2021-02-03;" in render(run)


def test_a_ladder_whose_accounts_were_stopped_at_different_times_says_so(fake):
    run = fake(folds=2, days=60)
    assert "another history" not in cost_section(run)
    run.result["realism"]["stopped_apart"] = "the drawdown limit"
    assert "The drawdown limit stopped it at different times in these replays" in cost_section(run)


@pytest.mark.parametrize(("growth", "kind"), [(2.9, "linear"), (3.1, "log"), (0.3, "log"), (-0.1, "linear")])
def test_equity_that_leaves_a_factor_of_three_is_drawn_on_a_logarithmic_axis(fake, growth, kind):
    run = fake(folds=1, days=60)
    rows = len(run.curves.ts)
    curves = replace(run.curves, equity=np.linspace(1e5, growth * 1e5, rows), benchmark=np.full(rows, 1e5))
    html = render_index(run.result, curves, run.trades)
    assert figure(html, "account")["layout"]["yaxis"]["type"] == kind
    assert ('data-log="account" checked' in html) == (kind == "log")


def test_a_round_trip_ended_by_the_rule_at_the_end_of_a_bar_shows_the_rule_and_the_whole_minute(fake):
    run = fake(folds=1, days=60, trips=1)
    end = np.datetime64("2021-01-20T15:00", "ns").astype(np.int64)
    trades = run.trades.assign(exit_reason="target", exit_ts=end - 1, entry_ts=end - 3600 * 10**9 + 250_000_000)
    text = Reader(without_plotly(render_index(run.result, run.curves, trades.assign(open=False)))).words
    assert "2021-01-20 14:00 2021-01-20 15:00" in text
    assert re.search(r"Exit by \w+ (long|short) .*? rule", text)


@pytest.mark.parametrize("same", [True, False])
def test_paths_that_are_one_account_are_not_said_to_show_what_hangs_on_the_choice(fake, same):
    run = fake(folds=2, days=60)
    quantiles = dict.fromkeys(("lowest", "q25", "median", "q75", "highest"), 0.5)
    spread = {"sharpe": quantiles, "total_return": quantiles, "max_drawdown": quantiles, "reasons": {}}
    run.result["walk"] = {"scheme": "cpcv", "paths": 2, "shown": 1, "spread": spread}
    one = {"sharpe": 0.5, "total_return": 0.5, "max_drawdown": 0.5, "trades": 9, "reasons": {}}
    run.result["paths"] = [{"path": n, "folds": [n], **one, "trades": 9 if same else n} for n in (1, 2)]
    text = Reader(without_plotly(render(run))).words
    assert ("All of them are the same account" in text) == same
    assert ("hangs on which rows a choice was made on" in text) != same
