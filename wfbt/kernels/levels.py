"""Price levels of a book, rebuilt row by row: what is best after each message, and what stands too far away.

Both sides are kept as sorted keys with the best last, a bid's key its tick and an ask's the negative of it, so one
routine serves both and a change near the best moves little.  A level at a hundred times the price costs nothing, as it
would in a ladder indexed by tick.
"""

from enum import IntEnum

from wfbt.kernels._jit import inlined, njit


class Ladder(IntEnum):
    """What the state of a book holds between two calls."""

    BIDS = 0
    ASKS = 1
    INSIDE = 2  # whether the next row goes on with a message
    MESSAGES = 3
    TWICE_MID = 4  # best bid and best ask added up, in ticks, after the last message; 0 where a side is empty
    GONE = 5
    SIZE = 6


@inlined
def place(keys, count, key):
    """The first of the increasing `keys[:count]` that is not below `key`, looked for from the best."""
    low, high, step = 0, count, 1
    while step <= count:
        probe = count - step
        if keys[probe] < key:
            low = probe + 1
            break
        high = probe
        step *= 2
    while low < high:
        middle = (low + high) // 2
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


@njit
def apply_rows(
    state, keys, lots, age, side, tick, size, snapshot, last, begin, factor, skip, uncross, far, best, at, gone
):
    """Apply rows (N,) from `begin` on to a book and tell what is best after each message.

    `state` is as Ladder says; `keys`, `lots` and `age` (2, C) are the levels and the message that set each.

    `best` (M, 4) is filled with bid tick, its lots, ask tick, its lots, an empty side 0 lots; `at` (M,) with the row
    that each message ends with.  `far` (N,) bool tells a level set beyond `factor` times the mid before its message, or
    its inverse; with `skip` it is not set.  With `uncross`, levels that a message crosses and did not set are deleted
    behind it; `gone` (G, 3), G at least the levels held and the rows, is filled with the row, side and tick of each.

    Returns the row to go on with, N unless the book needs more room, and the messages told.
    """
    room, told = keys.shape[1], 0
    i = begin
    while i < len(side) and state[Ladder.BIDS] < room and state[Ladder.ASKS] < room:
        if snapshot[i] and state[Ladder.INSIDE] == 0:
            state[Ladder.BIDS], state[Ladder.ASKS] = 0, 0
        state[Ladder.INSIDE] = 1
        message = state[Ladder.MESSAGES]
        s = 0 if side[i] > 0 else 1
        key = tick[i] if s == 0 else -tick[i]
        count = state[s]
        where = place(keys[s], count, key)
        there = where < count and keys[s, where] == key
        middle = 0.5 * state[Ladder.TWICE_MID]
        far[i] = size[i] > 0 and middle > 0.0 and (tick[i] > middle * factor or tick[i] * factor < middle)
        if size[i] > 0 and not (skip and far[i]):
            if not there:
                for j in range(count, where, -1):
                    keys[s, j], lots[s, j], age[s, j] = keys[s, j - 1], lots[s, j - 1], age[s, j - 1]
                keys[s, where] = key
                state[s] += 1
            lots[s, where] = size[i]
            age[s, where] = message
        elif size[i] == 0 and there:
            for j in range(where, count - 1):
                keys[s, j], lots[s, j], age[s, j] = keys[s, j + 1], lots[s, j + 1], age[s, j + 1]
            state[s] -= 1
        if last[i]:
            bids, asks = state[Ladder.BIDS], state[Ladder.ASKS]
            while uncross and bids > 0 and asks > 0 and keys[0, bids - 1] >= -keys[1, asks - 1]:
                stale_bid, stale_ask = age[0, bids - 1] < message, age[1, asks - 1] < message
                if stale_bid == stale_ask:
                    break  # nothing says which of them is stale
                n = state[Ladder.GONE]
                gone[n, 0], gone[n, 1] = i, 1 if stale_bid else -1
                gone[n, 2] = keys[0, bids - 1] if stale_bid else -keys[1, asks - 1]
                state[Ladder.GONE] += 1
                if stale_bid:
                    bids -= 1
                else:
                    asks -= 1
            state[Ladder.BIDS], state[Ladder.ASKS] = bids, asks
            best[told, 0] = keys[0, bids - 1] if bids > 0 else 0
            best[told, 1] = lots[0, bids - 1] if bids > 0 else 0
            best[told, 2] = -keys[1, asks - 1] if asks > 0 else 0
            best[told, 3] = lots[1, asks - 1] if asks > 0 else 0
            state[Ladder.TWICE_MID] = best[told, 0] + best[told, 2] if bids > 0 and asks > 0 else 0
            at[told] = i
            told += 1
            state[Ladder.INSIDE] = 0
            state[Ladder.MESSAGES] += 1
        i += 1
    return i, told
