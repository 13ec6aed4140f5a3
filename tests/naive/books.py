"""Books as dictionaries, one row at a time, written from the venues' pages and sharing no code with wfbt."""


class Book:
    """Levels of both sides, tick to (lots, message that set it)."""

    def __init__(self):
        self.sides = {1: {}, -1: {}}
        self.inside = False
        self.message = 0

    def best(self, side):
        """Tick and lots, (0, 0) when empty."""
        held = self.sides[side]
        if not held:
            return 0, 0
        tick = max(held) if side == 1 else min(held)
        return tick, held[tick][0]

    def mid(self):
        if not self.sides[1] or not self.sides[-1]:
            return None
        return (self.best(1)[0] + self.best(-1)[0]) / 2


def rebuild(rows, factor=None, skip=False, uncross=False):
    """Bests after each message, far rows, stale levels deleted, of rows (side, tick, lots, snapshot, last)."""
    book, bests, far, gone = Book(), [], [], []
    mid = None
    for number, (side, tick, lots, snapshot, last) in enumerate(rows):
        if snapshot and not book.inside:
            book.sides = {1: {}, -1: {}}
        book.inside = not last
        away = lots > 0 and factor is not None and mid is not None and (tick > mid * factor or tick * factor < mid)
        far.append(away)
        if lots == 0:
            book.sides[side].pop(tick, None)
        elif not (away and skip):
            book.sides[side][tick] = (lots, book.message)
        if last:
            while uncross and book.mid() is not None and book.best(1)[0] >= book.best(-1)[0]:
                stale = {s: book.sides[s][book.best(s)[0]][1] < book.message for s in (1, -1)}
                if stale[1] == stale[-1]:
                    break
                which = 1 if stale[1] else -1
                gone.append((number, which, book.best(which)[0]))
                del book.sides[which][book.best(which)[0]]
            bests.append((*book.best(1), *book.best(-1)))
            mid = book.mid()
            book.message += 1
    return book, bests, far, gone


def synchronised(messages, futures):
    """What a client knows that follows the venue's page: the book when all has been received, or None.

    `messages` are dicts in order of receipt: {"snapshot": id, "levels": {(side, tick): lots}} or
    {"first", "final", "prev", "changes": [(side, tick, lots)]}.
    """
    buffered, book, last = [], None, None
    for message in messages:
        if "snapshot" in message:
            if book is not None:
                continue
            book, last = dict(message["levels"]), message["snapshot"]
            for held in buffered:
                drop = held["final"] < last if futures else held["final"] <= last
                if not drop:
                    apply(book, held)
        elif book is None:
            buffered.append(message)
        else:
            drop = message["final"] < last if futures else message["final"] <= last
            if not drop:
                apply(book, message)
    return book


def apply(book, message):
    for side, tick, lots in message["changes"]:
        if lots:
            book[side, tick] = lots
        else:
            book.pop((side, tick), None)
