"""Fees that follow what was traded in the last 30 whole UTC days."""

from wfbt.kernels._jit import part
from wfbt.kernels.abi import FEE_DAYS


@part
def begin_fees(account, ring, fees, rules):
    """Fees of the lane's first day; the days before it traded alike."""
    account["maker"] = rules["maker"]
    account["taker"] = rules["taker"]
    account["today"] = 0.0
    for i in range(FEE_DAYS):
        ring[i] = rules["monthly"] / FEE_DAYS
    set_fees(account, ring, fees)


@part
def end_day(account, ring, fees, days):
    """Fees once a UTC day, and days - 1 without a row after it, have ended."""
    for _ in range(min(days, FEE_DAYS + 1)):
        for i in range(FEE_DAYS - 1):
            ring[i] = ring[i + 1]
        ring[FEE_DAYS - 1] = account["today"]
        account["today"] = 0.0
    set_fees(account, ring, fees)


@part
def set_fees(account, ring, fees):
    """Fees of the highest tier that the ring reaches."""
    traded = 0.0
    for i in range(FEE_DAYS):
        traded += ring[i]
    for i in range(len(fees)):
        if fees[i]["volume"] <= traded * (1.0 + 1e-12):
            account["maker"] = fees[i]["maker"]
            account["taker"] = fees[i]["taker"]
