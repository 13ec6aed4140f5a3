"""A network that only ONNX Runtime can run: trees, recurrent cells, attention over a window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.errors import ArtifactError, PolicyError
from wfbt.policy.artifact.building import build_normaliser
from wfbt.policy.artifact.description import Head, Level, Ports, Scaling
from wfbt.policy.artifact.onnx import MOST_ELEMENTS, import_or_refuse, open_inputs, read_onnx, sizes

F8 = npt.NDArray[np.float64]
BATCHES = (4_096, 256, 16, 1)
"""Rows asked at once: the most whose results stay within MOST_ELEMENTS."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Graph:
    """An ONNX graph and how it is asked.  Observations are (N, I), bar after bar; outputs (N, O).

    Attributes
    ----------
    data : bytes
        The file, which was judged; a copy in another process judges it again.
    ports : Ports
    scaling : Scaling or None
        Applied before the graph, unless the graph does it itself.
    inputs, outputs : int
        I and O.
    observes_account : bool
        Whether an observation depends on what was done before.
    source : str
        What messages call it.
    """

    data: bytes = field(repr=False)
    ports: Ports
    scaling: Scaling | None
    inputs: int
    outputs: int
    observes_account: bool
    source: str
    _session: _Session = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_session", _Session(self.data, self.ports, self.inputs, self.outputs, self.source))

    def __reduce__(self) -> Any:
        names = ("data", "ports", "scaling", "inputs", "outputs", "observes_account", "source")
        return _again, ({name: getattr(self, name) for name in names},)

    @property
    def head(self) -> Head:
        """What the outputs are."""
        return self.ports.head

    @property
    def stateful(self) -> bool:
        """Whether it remembers bars that are not in its window."""
        return bool(self.ports.states)

    @property
    def slow(self) -> bool:
        """Whether a replay must ask it bar by bar, in Python, some 10 to 100 µs each."""
        return self.stateful or self.observes_account

    def values(self, observations: npt.ArrayLike) -> F8:
        """Outputs (N, O) for observations (N, I) of consecutive bars; row t depends on rows ≤ t.

        State starts at zero before the first row.  Where a window is not yet full the row is NaN.
        """
        rows = self._scaled(np.asarray(observations, dtype=np.float64))
        window = self.ports.window
        out = np.full((len(rows), self.outputs), np.nan)
        if len(rows) < window:
            return out
        seen = rows if window == 1 else np.lib.stride_tricks.sliding_window_view(rows, window, axis=0).swapaxes(1, 2)
        if not self.stateful:
            out[window - 1 :] = self._session.batch(seen)
            return out
        states = self._session.zero_states()
        for t in range(len(seen)):
            out[window - 1 + t], states = self._session.step(seen[t : t + 1], states)
        return out

    def stepper(self) -> Stepper:
        """A walk from the first bar on, one observation at a time."""
        return Stepper(self)

    def _scaled(self, rows: F8) -> F8:
        if rows.ndim != 2 or rows.shape[1] != self.inputs:
            raise PolicyError(f"{self.source}: reads observations (N, {self.inputs}), was given {rows.shape}")
        normaliser = build_normaliser(self.scaling)
        if normaliser is None or self.ports.normalised:
            return rows
        return np.clip((rows - normaliser.mean) / normaliser.deviation, -normaliser.clip, normaliser.clip)


class Stepper:
    """Carries a graph's state and window from bar to bar."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._states = graph._session.zero_states()
        self._seen = np.full((graph.ports.window, graph.inputs), np.nan)
        self._count = 0

    def step(self, observation: npt.ArrayLike) -> F8:
        """Outputs (O,) after this bar's observation (I,); NaN until the window is full."""
        row = self._graph._scaled(np.asarray(observation, dtype=np.float64)[np.newaxis])
        self._seen = np.concatenate([self._seen[1:], row])
        self._count += 1
        if self._count < self._graph.ports.window:
            return np.full(self._graph.outputs, np.nan)
        asked = row if self._graph.ports.window == 1 else self._seen[np.newaxis]
        values, self._states = self._graph._session.step(asked, self._states)
        return values


def read_graph(data: bytes, level: Level, inputs: int, source: str) -> Graph:
    """The graph in `data`, asked as `level` says; ArtifactError on what is not run, or contradicts the manifest."""
    assert level.graph is not None
    return Graph(
        data=data,
        ports=level.graph,
        scaling=level.normaliser,
        inputs=inputs,
        outputs=level.actions.outputs,
        observes_account=bool(level.account),
        source=source,
    )


def _again(told: Mapping[str, Any]) -> Graph:
    return Graph(**told)


class _Session:
    """ONNX Runtime on one thread of the processor, with nothing but its own operators."""

    def __init__(self, data: bytes, ports: Ports, inputs: int, outputs: int, source: str) -> None:
        self.source = source
        self.ports = ports
        self.outputs = outputs
        model = read_onnx(data, source)
        self.input = self._observation_input(model, inputs)
        self.states = {name: self._state_shape(model, name) for name, _ in ports.states}
        given = [value.name for value in model.graph.output]
        for name in (ports.output, *(after for _, after in ports.states)):
            if name not in given:
                raise ArtifactError(f"{source}: has no output {name!r}; it has {', '.join(map(repr, given))[:200]}")
        self.rows = self._rows(model)
        self.session = self._open(model)
        kinds = {one.name: one.type for one in self.session.get_inputs()}
        if kinds[self.input] not in ("tensor(float)", "tensor(double)"):
            raise ArtifactError(f"{source}: input {self.input!r} must be float or double, is {kinds[self.input]}")
        self.types = {name: np.float64 if kind == "tensor(double)" else np.float32 for name, kind in kinds.items()}

    def _observation_input(self, model: Any, inputs: int) -> str:
        carried = {before for before, _ in self.ports.states}
        names = [value.name for value in open_inputs(model)]
        if missing := sorted(carried - set(names)):
            raise ArtifactError(f"{self.source}: has no input {missing[0]!r}; it has {', '.join(names)[:200]}")
        free = [value for value in open_inputs(model) if value.name not in carried]
        if len(free) != 1:
            raise ArtifactError(
                f"{self.source}: must have one input besides its states, has {', '.join(v.name for v in free)[:200]}; "
                "name what carries state under graph.states"
            )
        dims = free[0].type.tensor_type.shape.dim
        wanted = (inputs,) if self.ports.window == 1 else (self.ports.window, inputs)
        known = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in dims)
        if len(known) != len(wanted) + 1 or any(k not in (None, w) for k, w in zip(known[1:], wanted, strict=True)):
            shown = ", ".join("?" if one is None else str(one) for one in known)
            raise ArtifactError(
                f"{self.source}: manifest.json says {' × '.join(map(str, wanted))} numbers an observation, "
                f"input {free[0].name!r} is ({shown}); correct the one that is wrong"
            )
        for dim, length in zip(dims[1:], wanted, strict=True):
            dim.dim_value = length
        self.fixed_rows = known[0]
        return str(free[0].name)

    def _state_shape(self, model: Any, name: str) -> tuple[int, ...]:
        value = next(value for value in open_inputs(model) if value.name == name)
        # What is open in a state is the number of rows, and a state belongs to one.
        return tuple(dim.dim_value if dim.HasField("dim_value") else 1 for dim in value.type.tensor_type.shape.dim)

    def _rows(self, model: Any) -> int:
        wanted = (1,) if self.ports.states else (self.fixed_rows,) if self.fixed_rows else BATCHES
        for rows in wanted:
            try:
                if sizes(model, rows, self.source) <= MOST_ELEMENTS:
                    return rows
            except ArtifactError:
                if rows == wanted[-1]:
                    raise
        raise ArtifactError(f"{self.source}: its results would hold more than {MOST_ELEMENTS:,} numbers a row")

    def _open(self, model: Any) -> Any:
        runtime = import_or_refuse("onnxruntime", self.source)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
        options.use_deterministic_compute = True
        options.log_severity_level = 4
        try:
            # What was judged, not what another reader might make of the same bytes.
            judged = model.SerializeToString(deterministic=True)
            return runtime.InferenceSession(judged, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # every kind of failure there is a class of its own, without a common parent
            raise ArtifactError(f"{self.source}: ONNX Runtime refuses it: {_short(error)}") from None

    def zero_states(self) -> dict[str, npt.NDArray[Any]]:
        """What every walk begins with."""
        return {name: np.zeros(shape, self.types[name]) for name, shape in self.states.items()}

    def batch(self, rows: F8) -> F8:
        """Outputs of rows that do not depend on each other."""
        parts = []
        for begin in range(0, len(rows), self.rows):
            part = rows[begin : begin + self.rows]
            short = self.rows - len(part) if self.fixed_rows else 0
            padded = np.concatenate([part, np.repeat(part[-1:], short, axis=0)]) if short else part
            parts.append(self._run(padded, {}, [self.ports.output])[0][: len(part)])
        return self._checked(np.concatenate(parts), len(rows))

    def step(self, row: F8, states: Mapping[str, npt.NDArray[Any]]) -> tuple[F8, dict[str, npt.NDArray[Any]]]:
        """Outputs (O,) of one row, and the states after it."""
        names = [self.ports.output, *(after for _, after in self.ports.states)]
        if self.fixed_rows:
            row = np.repeat(row, self.fixed_rows, axis=0)
        values, *carried = self._run(row, states, names)
        after: dict[str, npt.NDArray[Any]] = {}
        for (name, _), state in zip(self.ports.states, carried, strict=True):
            if state.shape != self.states[name]:
                raise PolicyError(f"{self.source}: state {name!r} was {self.states[name]} and became {state.shape}")
            after[name] = state
        return self._checked(values[:1], 1)[0], after

    def _run(self, rows: F8, states: Mapping[str, npt.NDArray[Any]], names: list[str]) -> Any:
        given = {self.input: rows.astype(self.types[self.input]), **states}
        try:
            return self.session.run(names, given)
        except Exception as error:  # as above
            raise PolicyError(f"{self.source}: ONNX Runtime failed: {_short(error)}") from None

    def _checked(self, values: npt.NDArray[Any], rows: int) -> F8:
        if values.size != rows * self.outputs or values.dtype.kind != "f":
            raise PolicyError(
                f"{self.source}: output {self.ports.output!r} must be {self.outputs} floating-point numbers a row, "
                f"is {values.shape} of {values.dtype} for {rows}"
            )
        out = np.asarray(values, dtype=np.float64).reshape(rows, self.outputs)
        if not np.isfinite(out).all():
            raise PolicyError(f"{self.source}: output {self.ports.output!r} holds NaN or infinity")
        return out


def _short(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:160]
