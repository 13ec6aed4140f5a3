"""The regimes section, and what has to agree with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic_core import PydanticCustomError

from wfbt.config.messages import nearest
from wfbt.config.section import Section
from wfbt.config.states import STATES


class Regimes(Section):
    """How market regimes are learnt, and whether rules see them; null: results are not split by regime."""

    states: Annotated[int, Field(ge=2, le=4)] = 3
    model: Literal["hmm", "kmeans"] = "hmm"
    by: Literal["variance", "mean"] = "variance"
    window: Annotated[int, Field(ge=2, le=10_000)] | None = 24
    of: Literal["market", "own"] = "market"
    starts: Annotated[int, Field(ge=1, le=100)] = 3
    show: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Of the states, in rising order."""
        return STATES[self.by][self.states]


def check_states(regimes: Regimes | None, policies: Mapping[str, Any], scaled: Mapping[str, float]) -> None:
    """Hold what the strategy says by regime to the states there are.

    A rotation (`policies` by where they stand) has one entry for each; `scaled` are those of sizing.scale.regimes.
    """
    given: dict[str, Mapping[str, Any]] = {
        f"{at}.rotate": one.rotate for at, one in policies.items() if one.rotate is not None
    }
    for key, by_state in {**given, **({"sizing.scale.regimes": scaled} if scaled else {})}.items():
        if regimes is None:
            raise _across(key, "needs the regimes section, which is null", list(by_state))
        for name in by_state:
            if name not in regimes.names:
                near = nearest(name, regimes.names)
                rule = f"must name states of regimes ({', '.join(regimes.names)})"
                raise _across(key, rule + (f"; did you mean {near}?" if near else ""), name)
        missing = [name for name in regimes.names if name not in by_state]
        if missing and key in given:
            raise _across(key, f"must say what to do in {' and '.join(missing)}; null is flat", list(by_state))
        if not any(by_state.values()) and key in given:
            raise _across(key, "needs a rule in one regime at least", list(by_state))


def _across(key: str, rule: str, value: object) -> PydanticCustomError:
    return PydanticCustomError("across", "{rule}", {"key": key, "rule": rule, "value": value})
