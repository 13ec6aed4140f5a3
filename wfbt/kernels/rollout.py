"""Networks that decide by what their account has become: one account, replayed decision by decision.

Members may be several networks whose targets are added up, a manager whose goal its worker reads, and all of them may
be asked only to confirm what a rule proposes.
"""

from math import exp, isnan, log, nan
from typing import NamedTuple

import numpy as np

from wfbt.kernels._jit import njit, part
from wfbt.kernels.abi import Seen
from wfbt.kernels.agent import observe_one, submit_one
from wfbt.kernels.bars import replay
from wfbt.kernels.network import choose, put_within, run_layers, take_in, weigh

ALONE, VETO, AGREE, SCALE = 0, 1, 2, 3
"""What is done with a proposal; ALONE: there is none."""

DISCRETE, DIRECTED, SIZED = 0, 1, 2
"""What the outputs of a member are."""

TOGETHER = -2
"""In place of the member that acts: all of them do."""

ONE_HOT, VALUES, TARGET = 0, 1, 2
"""What a manager hands its worker: which action it chose, its outputs (a box's within their bounds), or its targets."""


class Council(NamedTuple):
    """M networks as one policy.  Arrays named first_… are (M + 1,) and say where each member's share begins."""

    numbers: np.ndarray  # f4, of all networks
    layers: np.ndarray  # LAYER
    first_layer: np.ndarray
    normal: np.ndarray  # (2, ΣI) f8
    first_input: np.ndarray
    clip: np.ndarray  # (M,) f8
    bounds: np.ndarray  # (2, ΣO) f8
    first_output: np.ndarray
    squash: np.ndarray  # (M,) bool
    kind: np.ndarray  # (M,) i8
    table: np.ndarray  # (M, K) f8, targets of actions, NaN beyond
    dead_zone: np.ndarray  # (M,) f8
    least: np.ndarray  # (M,) f8, an action less probable than this is none; 0: any
    weight: np.ndarray  # (M,) f8
    columns: np.ndarray  # i8, columns of the features that members read, one after the other
    first_column: np.ndarray
    sees: np.ndarray  # i8, what members see of the account: places among what is seen at all, those of assets first
    first_seen: np.ndarray
    each: np.ndarray  # (M,) bool: asked about each asset by itself
    every: np.ndarray  # (M,) i8: a manager decides every so many decision bars, and the member after it reads that; 0
    joins: np.ndarray  # (M,) i8: ONE_HOT, VALUES or TARGET
    handed: np.ndarray  # (M,) i8: how many numbers that are
    sums: bool  # targets are the weighted sum of what the members last named
    width: int  # most units of any layer, the inputs among them
    most: int  # most outputs of any member


@part
def assemble(features, columns, view, of_asset, sees, asset, goal, goals, out):
    """An observation: features, what is seen of the account, the manager's goal; `asset` −1: of all assets together."""
    assets, j = features.shape[0], 0
    for a in range(assets):
        if asset < 0 or a == asset:
            for i in range(len(columns)):
                out[j] = features[a, columns[i]]
                j += 1
    for a in range(assets):
        if asset < 0 or a == asset:
            for i in range(len(sees)):
                if sees[i] < of_asset:
                    out[j] = view[a * of_asset + sees[i]]
                    j += 1
    for i in range(len(sees)):
        if sees[i] >= of_asset:
            out[j] = view[(assets - 1) * of_asset + sees[i]]
            j += 1
    for i in range(goals):
        out[j] = goal[i]
        j += 1
    return j


@part
def evaluate(council, m, observation, scratch, values):
    """Fill values[:O] with the outputs of member m; False where the observation is not known throughout."""
    a, b = council.first_input[m], council.first_input[m + 1]
    if not take_in(observation[: b - a], council.normal[:, a:b], council.clip[m], scratch[0, 0]):
        return False
    half = run_layers(council.numbers, council.layers[council.first_layer[m] : council.first_layer[m + 1]], scratch, 1)
    for i in range(council.first_output[m + 1] - council.first_output[m]):
        values[i] = scratch[half, 0, i]
    return True


@part
def act(council, m, values, out):
    """Fill `out` with the targets that member m's outputs stand for; NaN where it abstains."""
    a, b = council.first_output[m], council.first_output[m + 1]
    if council.kind[m] == DISCRETE:
        action = choose(values[: b - a])
        if action >= 0 and council.least[m] > 0.0:
            total = 0.0
            for i in range(b - a):
                total += exp(values[i] - values[action])
            if 1.0 / total < council.least[m]:
                action = -1
        out[0] = council.table[m, action] if action >= 0 else nan
        return
    put_within(values[: b - a], council.bounds[:, a:b], council.squash[m], values[: b - a])
    weigh(values[: b - a], council.kind[m] == SIZED, council.dead_zone[m], out)


@part
def set_goal(council, m, values, goal):
    """What a manager's outputs tell its worker; a target that it does not name stays as it was."""
    a, b = council.first_output[m], council.first_output[m + 1]
    handed = council.handed[m]
    if council.joins[m] == ONE_HOT:
        action = choose(values[: b - a])
        for i in range(handed):
            goal[i] = 1.0 if i == action else 0.0
    elif council.joins[m] == VALUES:
        if council.kind[m] != DISCRETE:
            put_within(values[: b - a], council.bounds[:, a:b], council.squash[m], values[: b - a])
        for i in range(handed):
            goal[i] = values[i]
    else:
        before = goal[:handed].copy()
        act(council, m, values, goal[:handed])
        for i in range(handed):
            if isnan(goal[i]):
                goal[i] = before[i]


@part
def confirm(wanted, opinion, mode, passes):
    """What is left of a proposal, as `wfbt.policy.hybrid` has it; of an abstention all or nothing."""
    if isnan(opinion):
        return wanted if passes else 0.0
    if mode == VETO:
        return 0.0 if wanted * opinion < 0.0 else wanted
    if mode == AGREE:
        return wanted if (wanted > 0.0) == (opinion > 0.0) and (wanted < 0.0) == (opinion < 0.0) else 0.0
    return wanted * min(abs(opinion), 1.0)


@part
def ask(council, features, view, of_asset, acting, turn, goal, observation, values, scratch, stood, one, out):
    """Fill `out` (A,) with what the council wants on one bar; NaN where it names nothing.

    `goal` is the manager's last, `stood` (M, A) what each member last named.
    """
    assets, goals = len(out), 0
    spoken = np.zeros(assets, np.bool_)
    if acting == -1:
        for a in range(assets):
            out[a] = 0.0
        return
    for m in range(len(council.every)):
        if acting >= 0 and m != acting:
            continue
        columns = council.columns[council.first_column[m] : council.first_column[m + 1]]
        sees = council.sees[council.first_seen[m] : council.first_seen[m + 1]]
        if council.every[m] > 0:
            if turn % council.every[m] == 0:
                assemble(features, columns, view, of_asset, sees, -1, goal, 0, observation)
                if evaluate(council, m, observation, scratch, values):
                    set_goal(council, m, values, goal)
            goals = council.handed[m]
            continue
        for a in range(assets):
            out[a] = nan
        if council.each[m]:
            for a in range(assets):
                assemble(features, columns, view, of_asset, sees, a, goal, goals, observation)
                if evaluate(council, m, observation, scratch, values):
                    act(council, m, values, one)
                    out[a] = one[0] / assets
        else:
            assemble(features, columns, view, of_asset, sees, -1, goal, goals, observation)
            if evaluate(council, m, observation, scratch, values):
                act(council, m, values, out)
        goals = 0
        for a in range(assets):
            if not isnan(out[a]):
                stood[m, a] = out[a]
                spoken[a] = True
    if council.sums and acting == TOGETHER:
        for a in range(assets):
            out[a] = nan
            if spoken[a]:
                total = 0.0
                for m in range(len(council.every)):
                    total += council.weight[m] * stood[m, a]
                out[a] = np.round(total, 12)


@part
def decide(
    council, features, view, of_asset, other, mode, mirrored, passes, acting, turn, goal, observation, values, scratch,
    memory, stood, one, out,
):  # fmt: skip
    """Fill `out` (A,) with what is wanted on one bar; NaN leaves a position alone.

    Arguments as in `rollout`, `features` (A, F) and `other` (A,) those of the bar.
    """
    asks = mode == ALONE or mirrored
    for a in range(len(out)):
        out[a] = nan
        asks |= mode != ALONE and not isnan(other[a]) and other[a] != memory[0, a]
    if asks:
        ask(council, features, view, of_asset, acting, turn, goal, observation, values, scratch, stood, one, out)
    if mode == ALONE:
        return
    for a in range(len(out)):
        if mirrored:
            named, before = not isnan(out[a]), memory[1, a]
            if named:
                memory[0, a] = out[a]
            if not isnan(memory[0, a]):
                memory[1, a] = confirm(memory[0, a], other[a], mode, passes)
            out[a] = memory[1, a] if named or memory[1, a] != before else nan
            continue
        proposal = other[a]
        if not isnan(proposal) and proposal != memory[0, a]:
            memory[0, a] = proposal
            memory[1, a] = confirm(proposal, out[a], mode, passes)
        out[a] = memory[1, a] if not isnan(proposal) else nan


@njit
def on_paper(council, features, close, seen, of_asset, other, mode, mirrored, passes, acting, targets):
    """Fill `targets` (T, A) with what a council wants where every target is had at once, at the close and for nothing.

    Exact for a council that sees nothing of its account.  `close` (T, A) is NaN where an asset has no bar; the rest as
    in `rollout`.
    """
    rows, assets = targets.shape
    view = np.zeros(assets * of_asset + len(seen) - of_asset)
    observation = np.zeros(council.width + council.most)
    values, goal = np.zeros(council.most), np.zeros(council.most)
    scratch = np.zeros((2, 1, council.width), np.float32)
    wanted, one = np.zeros(assets), np.zeros(1)
    memory, stood = np.full((2, assets), nan), np.zeros((len(council.every), assets))
    weight, entry, last = np.zeros(assets), np.full(assets, nan), np.full(assets, nan)
    held = np.zeros(assets, np.int64)
    worth, peak = 1.0, 1.0
    for t in range(rows):
        earned, gross = 0.0, 0.0
        for a in range(assets):
            if not isnan(close[t, a]):
                if not isnan(last[a]):
                    earned += weight[a] * (close[t, a] / last[a] - 1.0)
                last[a] = close[t, a]
            gross += abs(weight[a])
            held[a] = held[a] + 1 if weight[a] != 0.0 else 0
        worth = max(worth * (1.0 + earned), 1e-9)
        peak = max(peak, worth)
        j = 0
        for a in range(assets):
            for i in range(of_asset):
                if seen[i] == Seen.POSITION or seen[i] == Seen.TARGET:
                    view[j] = weight[a]
                elif seen[i] == Seen.UNREALISED:
                    view[j] = np.sign(weight[a]) * (last[a] / entry[a] - 1.0) if weight[a] != 0.0 else 0.0
                else:
                    view[j] = log(1.0 + held[a])
                j += 1
        for i in range(of_asset, len(seen)):
            view[j] = 1.0 - worth / peak if seen[i] == Seen.DRAWDOWN else gross if seen[i] == Seen.GROSS else earned
            j += 1
        decide(
            council, features[t], view, of_asset, other[min(t, len(other) - 1)], mode, mirrored, passes,
            acting[min(t, len(acting) - 1)], t,
            goal, observation, values, scratch, memory, stood, one, wanted,
        )  # fmt: skip
        for a in range(assets):
            targets[t, a] = wanted[a]
            if isnan(wanted[a]) or isnan(close[t, a]) or wanted[a] == weight[a]:
                continue
            if wanted[a] * weight[a] <= 0.0:
                entry[a] = close[t, a]
                held[a] = 0
            weight[a] = wanted[a]


@njit
def rollout(
    tape, terms, stamps, contracts, day_rows, intents, lanes, given, slots, activity, venue, fills, payments, orders,
    events, liquidations, equity, cash, position, liquidation, shortfall, daily, tallies, desk, watch, sheet, slices,
    bars, council, features, seen, of_asset, other, mode, mirrored, passes, acting, until, memory, stood, targets,
    told,
):  # fmt: skip
    """Let a council decide for one waiting account until execution row `until`; return the number of intents made.

    What stands before `watch` is handed to `wfbt.kernels.bars.replay`.

    Parameters
    ----------
    watch : Watch; sheet : (T, A) SHEET; slices : int; bars : (E,) int64
        As in `wfbt.kernels.agent`.
    council : Council
    features : (T, A, F) float64
        Known at the close of each decision bar; NaN: not known.
    seen : (K,) int64
        Codes of `Seen` that are part of each observation, those of assets first, of which there are `of_asset`.
    other : (T, A) float64, or (1, A) where `mode` is ALONE
        What the rules beside the council name, NaN nothing.
    mode : int; mirrored, passes : bool
        VETO, AGREE or SCALE.  The rules propose, and the council is asked when they propose something new; mirrored,
        the council proposes and the rules' last number stands against it.  Where who confirms abstains a proposal
        passes, or is made 0.
    acting : (T,) int64, or (1,)
        Member that decides at each decision bar; −1: none, and everything is flat; TOGETHER: all.
    until : int
    memory : (2, A) float64, in and out
        Last proposal, and what passed of it; NaN before the first.
    stood : (M, A) float64, in and out
        What each member last named, 0 before.
    targets : (T, A) float64, out
        What was wanted at each decision bar.
    told : (I,) INTENT, out
    """
    assets = len(contracts)
    view = np.zeros(assets * of_asset + len(seen) - of_asset)
    observation = np.zeros(council.width + council.most)
    values, goal = np.zeros(council.most), np.zeros(council.most)
    scratch = np.zeros((2, 1, council.width), np.float32)
    wanted, one = np.zeros(assets), np.zeros(1)
    carry, account, state = desk.carry[0], desk.accounts[0], desk.state[0]
    made, turn = 0, 0
    while carry["under_way"] != 0 and carry["row"] < until:
        row = carry["row"]
        bar = bars[row]
        observe_one(carry, account, state, watch, 0, contracts, tape.mark_close, seen, 0, view)
        decide(
            council, features[bar], view, of_asset, other[min(bar, len(other) - 1)], mode, mirrored, passes,
            acting[min(bar, len(acting) - 1)], turn, goal, observation, values, scratch, memory, stood, one, wanted,
        )  # fmt: skip
        for a in range(assets):
            targets[bar, a] = wanted[a]
        submit_one(wanted, bars, sheet, slices, row, watch, 0, 0, intents)
        for a in range(assets):
            if intents[a]["row"] == row:
                told[made] = intents[a]
                made += 1
        turn += 1
        replay(
            tape, terms, stamps, contracts, day_rows, intents, lanes, given, slots, activity, venue, fills, payments,
            orders, events, liquidations, equity, cash, position, liquidation, shortfall, daily, tallies, desk,
        )  # fmt: skip
    return made
