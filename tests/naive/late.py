"""Late and missed decisions, one at a time."""


def delayed(decisions, bars, clock):
    """(row, size) of each decision that is made, of [(row, size)] each `bars[i]` of `clock`'s rows later."""
    arrives = []
    for (row, size), late in zip(decisions, bars, strict=True):
        place = clock.index(row) + late
        arrives.append((clock[place] if place < len(clock) else None, size))
    made = []
    for i, (row, size) in enumerate(arrives):
        if row is None:
            continue
        overtaken = False
        for later, _ in arrives[i + 1 :]:
            if later is not None and later <= row:
                overtaken = True
        if not overtaken:
            made.append((row, size))
    return made


def skipped(decisions, missed):
    """(row, size) that is left of [(row, size)] when the entries at the places in `missed` are not made."""
    side, missing, out = 0, False, []
    for i, (row, size) in enumerate(decisions):
        now = (size > 0) - (size < 0)
        if now == 0:
            missing = False
            out.append((row, 0.0))
        elif now != side:
            missing = i in missed
            if not missing:
                out.append((row, size))
            elif side != 0:
                out.append((row, 0.0))
        elif not missing:
            out.append((row, size))
        side = now
    return out
