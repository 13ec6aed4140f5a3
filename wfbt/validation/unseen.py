"""A trained model is tested on rows that it has never seen, or not at all."""

from __future__ import annotations

from collections.abc import Sequence

from wfbt.data.store import stamp
from wfbt.data.timeframes import label
from wfbt.engine.tape import Deck
from wfbt.errors import ArtifactError
from wfbt.policy.artifact.manifest import Manifest
from wfbt.validation.folds import Fold
from wfbt.validation.walk_forward import rows_of


def check_unseen(name: str, manifest: Manifest, folds: Sequence[Fold], deck: Deck, gap: int) -> None:
    """ArtifactError unless every test bar opens after the model's windows have ended and its embargo has passed.

    `gap` (ns) is the embargo of the folds: the longer of the two holds.  Bars before the training window are refused
    too: what is learnt of later years says how the earlier ones went on.  Also unless bars are as long as in training,
    and of symbols that it was trained on or, for a model of one symbol, of any.
    """
    if int(manifest.data.period) != deck.period:
        raise ArtifactError(
            f"{name}: was trained on bars of {label(int(manifest.data.period))}, the strategy has {label(deck.period)}"
        )
    ends = max([int(manifest.training.end), *([int(manifest.validation.end)] if manifest.validation else [])])
    unseen = ends + max(int(manifest.embargo), gap)
    for fold in folds:
        opens = int(deck.close_ts[rows_of(fold.test)[0]]) - deck.period
        if opens < unseen:
            raise ArtifactError(
                f"{name}: was trained on {stamp(int(manifest.training.start))} to {stamp(ends)}, and with its embargo "
                f"nothing before {stamp(unseen)} is new to it; fold {fold.index + 1} is tested from {stamp(opens)} on. "
                "Let data.start and folds.train put the first test after it, or train earlier"
            )
