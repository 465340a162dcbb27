"""Trials of a search and the course of a training, logged where a team looks at them: TensorBoard or MLflow.

Both come with the extra `tracking`. Nothing leaves the machine: TensorBoard's files and MLflow's SQLite database lie in
a folder of the user's, and MLflow's telemetry is turned off.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

from medloom.foundation.errors import MissingExtraError

TRACKERS: Final = ("tensorboard", "mlflow")
_EXPERIMENT: Final = "medloom"


class Tracker(Protocol):
    """Takes note of trials, one after the other, and of how a training goes."""

    def trial(
        self,
        number: int,
        learner: str,
        parameters: Mapping[str, Any],
        loss: float | None,
        seconds: float,
        why: str,
    ) -> None:
        """Note a trial; no loss: it was given up, or failed for the reason `why`."""

    def judged(self, name: str, step: int, losses: Mapping[str, float]) -> None:
        """Note how far the training `name` has come at a step: losses by what they were measured on."""

    def close(self) -> None:
        """Write what is left to be written."""


@contextmanager
def tracking(name: str | None, folder: str | None) -> Iterator[Tracker | None]:
    """Open a tracker: `tensorboard` writes to `folder/tensorboard`, `mlflow` to `folder/mlflow.db`; None: none.

    Raises:
        MissingExtraError: it is not installed.

    >>> with tracking(None, None) as tracker:
    ...     tracker is None
    True
    """
    if name is None or folder is None:
        yield None
        return
    tracker: Tracker = _TensorBoard(Path(folder)) if name == "tensorboard" else _MLflow(Path(folder))
    try:
        yield tracker
    finally:
        tracker.close()


class _TensorBoard:
    def __init__(self, folder: Path) -> None:
        try:
            from tensorboard.summary import Writer
        except ImportError as error:
            raise _missing("TensorBoard") from error
        self._writer = Writer(str(folder / "tensorboard"))

    def trial(
        self,
        number: int,
        learner: str,
        parameters: Mapping[str, Any],
        loss: float | None,
        seconds: float,
        why: str,
    ) -> None:
        self._writer.add_scalar("seconds", seconds, step=number)
        if loss is not None:
            self._writer.add_scalar("loss", loss, step=number)
            self._writer.add_scalar(f"loss/{learner}", loss, step=number)

    def judged(self, name: str, step: int, losses: Mapping[str, float]) -> None:
        for what, loss in losses.items():
            self._writer.add_scalar(f"{name}/{what}", loss, step=step)

    def close(self) -> None:
        self._writer.close()


class _MLflow:
    def __init__(self, folder: Path) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "1")
        try:
            from mlflow import MlflowClient
        except ImportError as error:
            raise _missing("MLflow") from error
        folder.mkdir(parents=True, exist_ok=True)
        self._client = MlflowClient(tracking_uri=f"sqlite:///{folder.resolve() / 'mlflow.db'}")
        self._open: dict[str, str] = {}  # runs of trainings, by name
        known = self._client.get_experiment_by_name(_EXPERIMENT)
        self._experiment = (
            self._client.create_experiment(
                _EXPERIMENT, artifact_location=(folder.resolve() / "mlflow").as_uri()
            )
            if known is None
            else known.experiment_id
        )

    def trial(
        self,
        number: int,
        learner: str,
        parameters: Mapping[str, Any],
        loss: float | None,
        seconds: float,
        why: str,
    ) -> None:
        run = self._client.create_run(self._experiment, run_name=f"{number:04} {learner}").info.run_id
        for key, value in {"learner": learner, **parameters}.items():
            self._client.log_param(run, key, value)
        self._client.log_metric(run, "seconds", seconds)
        if loss is not None:
            self._client.log_metric(run, "loss", loss)
        if why:
            self._client.set_tag(run, "why", why)
        self._client.set_terminated(run, "FINISHED" if loss is not None else "KILLED")

    def judged(self, name: str, step: int, losses: Mapping[str, float]) -> None:
        if name not in self._open:
            self._open[name] = self._client.create_run(self._experiment, run_name=name).info.run_id
        for what, loss in losses.items():
            self._client.log_metric(self._open[name], what, loss, step=step)

    def close(self) -> None:
        for run in self._open.values():
            self._client.set_terminated(run, "FINISHED")


def _missing(what: str) -> MissingExtraError:
    return MissingExtraError(
        'logging trials to {what} needs it; install it with: pip install "medloom[tracking]"', what=what
    )
