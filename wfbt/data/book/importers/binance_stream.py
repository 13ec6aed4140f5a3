"""Binance websocket streams as recorded: a JSON message a line, with the time of receipt in front where one was kept.

Messages are bare or wrapped as {"stream": …, "data": …}: depthUpdate, trade, aggTrade, bookTicker, and the REST
snapshot of the depth (lastUpdateId, bids, asks).  Spot messages have neither transaction time (T) nor `pu`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from wfbt.data.book.importers.json_lines import decimal, integer, levels, messages, milliseconds
from wfbt.data.book.importers.parsed import CHUNK, Gathered, Parsed
from wfbt.data.book.rows import NO_ID
from wfbt.errors import DataError


def read(paths: Sequence[str], symbol: str) -> Iterator[Parsed]:
    """Book, trades and best quotes of one symbol, in the order of the lines; rows count over all files."""
    reader = _Reader(symbol)
    for path in paths:
        before = reader.row
        for number, received, said in messages(path):
            reader.row = before + number - 1
            reader.take(said, received, path, number)
            if len(reader.gathered) >= CHUNK:
                yield reader.gathered.parsed()
        reader.row += 1
    yield reader.gathered.parsed()


class _Reader:
    def __init__(self, symbol: str) -> None:
        self.gathered = Gathered()
        self.row = 0
        self._symbol = symbol.upper()
        self._clock = 0  # ns, of the last message that had one

    def take(self, said: dict[str, Any], received: int | None, path: str, number: int) -> None:
        """Gather one message; other streams and other symbols are passed over."""
        stream = said.get("stream")
        if isinstance(said.get("data"), dict):
            said = said["data"]
        name = said.get("s")
        if isinstance(name, str) and name.upper() != self._symbol:
            return
        if isinstance(stream, str) and not isinstance(name, str) and stream.split("@")[0].upper() != self._symbol:
            return
        kind = said.get("e")
        if "lastUpdateId" in said:
            self._snapshot(said, received, path, number)
        elif kind == "depthUpdate":
            self._depth(said, received, path, number)
        elif kind in ("trade", "aggTrade"):
            self._trade(said, received, path, number)
        elif kind == "bookTicker" or (kind is None and {"u", "b", "B", "a", "A"} <= set(said)):
            self._best(said, received, path, number)

    def _stamps(self, said: dict[str, Any], received: int | None, path: str, number: int) -> tuple[int, int]:
        """When it happened and when it was received; a stream without a clock was received when it was sent."""
        if "T" in said or "E" in said:
            happened = milliseconds(said, "T" if "T" in said else "E", path, number)
            self._clock = max(self._clock, happened)
        elif received is None and not self._clock:
            raise DataError(f"{path}: line {number} has neither an event time (E) nor a time of receipt in front of it")
        else:
            # A REST snapshot or a spot bookTicker has no clock: it is stamped with the last one heard.
            happened = self._clock or int(received or 0)
        sent = milliseconds(said, "E", path, number) if "E" in said else happened
        return happened, sent if received is None else received

    def _snapshot(self, said: dict[str, Any], received: int | None, path: str, number: int) -> None:
        exch, recv = self._stamps(said, received, path, number)
        final = integer(said, "lastUpdateId", path, number)
        bids, asks = (levels(said.get(side), path, number) for side in ("bids", "asks"))
        self.gathered.message(self.row, exch, recv, bids, asks, snapshot=True, first_id=final, final_id=final)

    def _depth(self, said: dict[str, Any], received: int | None, path: str, number: int) -> None:
        exch, recv = self._stamps(said, received, path, number)
        first, final = (integer(said, key, path, number) for key in ("U", "u"))
        prev = integer(said, "pu", path, number) if "pu" in said else NO_ID
        bids, asks = (levels(said.get(side), path, number) for side in ("b", "a"))
        self.gathered.message(self.row, exch, recv, bids, asks, first_id=first, final_id=final, prev_id=prev)

    def _trade(self, said: dict[str, Any], received: int | None, path: str, number: int) -> None:
        # What fills an insurance fund or a settlement is no trade of the market, and often has no price.
        if said.get("X", "MARKET") != "MARKET":
            return
        exch, recv = self._stamps(said, received, path, number)
        price, qty = decimal(said, "p", path, number), decimal(said, "q", path, number)
        maker = said.get("m")
        if not isinstance(maker, bool):
            raise DataError(f"{path}: line {number}: m (the buyer is the maker) must be true or false, was {maker!r}")
        identity = integer(said, "t" if said["e"] == "trade" else "a", path, number)
        self.gathered.trade(self.row, exch, recv, price, qty, -1 if maker else 1, identity)

    def _best(self, said: dict[str, Any], received: int | None, path: str, number: int) -> None:
        # Spot tickers have no clock at all.
        if received is not None and "T" not in said and "E" not in said:
            exch, recv = received, received
        else:
            exch, recv = self._stamps(said, received, path, number)
        values = (decimal(said, key, path, number) for key in ("b", "B", "a", "A"))
        self.gathered.best(self.row, exch, recv, *values, integer(said, "u", path, number))
