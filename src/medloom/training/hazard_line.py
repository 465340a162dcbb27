"""Recalibration of curves: a line on the log of their cumulative hazard, for one event under censoring.

Under a model that is right, the cumulative hazard a patient has reached when followed no longer is a censored draw
from a standard exponential distribution (Cox and Snell, J R Stat Soc B 1968;30:248-275). `intercept` makes observed
and expected events equal in number, `slope` fits a Weibull distribution to those draws: log H becomes intercept +
slope x log H. Crowson, Atkinson and Therneau, Stat Methods Med Res 2016;25:1692-1706, section 3.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import polars as pl

from medloom.foundation.errors import InputError
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples
from medloom.tasks.survival import outcomes_of, read_curves
from medloom.training.answers import Floats

# A patient with less than a chance of 1 in 10,000 would move the slope more than all others together.
_LEAST: Final = 1e-4
_STEEPEST: Final = 10.0


def reached(samples: Samples, said: Predictions) -> tuple[Floats, Floats]:
    """Give the cumulative hazard each sample had reached when followed no longer, and whether it had the event then.

    Gives (n, 1) and (n, 1) of 0 and 1. Who is followed beyond the curves counts as followed until their end.

    Raises:
        InputError: several events compete: their cumulative incidences have no one hazard.
    """
    question = samples.question
    if len(question.outputs) != 1:
        raise InputError(
            "curves of competing events ({events}) cannot be recalibrated; only those of one event can",
            events=question.outputs,
        )
    outcomes = outcomes_of(samples.frame["label"], question.outputs)
    curves = read_curves(said.frame, question.outputs, samples.frame["sample_id"])
    grid = np.append(0.0, curves.times)
    risk = np.column_stack([np.zeros(len(outcomes)), curves.incidence[:, 0]])
    until = np.minimum(outcomes.time, grid[-1])
    own = np.array([np.interp(time, grid, row) for time, row in zip(until, risk, strict=True)])
    hazard = np.maximum(-np.log1p(-np.minimum(own, 1 - 1e-12)), _LEAST)
    seen = outcomes.happened & (outcomes.time <= grid[-1])
    return hazard.reshape(-1, 1), seen.astype(np.float64).reshape(-1, 1)


def fit_line(
    method: Literal["intercept", "slope"], hazard: Floats, seen: Floats, weight: Floats
) -> tuple[float, float]:
    """Learn intercept and slope from cumulative hazards reached (n,) and events seen (n,), each weighted.

    >>> round(fit_line("intercept", np.full(4, 0.5), np.array([1.0, 1, 1, 1]), np.ones(4))[0], 3)
    0.693
    """
    from scipy.optimize import minimize_scalar

    def best_intercept(slope: float) -> float:
        return float(np.log(weight @ seen) - np.log(weight @ hazard**slope))

    if method == "intercept":
        return best_intercept(1.0), 1.0
    reach = float(np.log(_STEEPEST))
    found = minimize_scalar(
        lambda log_slope: (
            -line_log_likelihood(
                best_intercept(np.exp(log_slope)), float(np.exp(log_slope)), hazard, seen, weight
            )
        ),
        bounds=(-reach, reach),
        method="bounded",
        options={"xatol": 1e-8},
    )
    slope = float(np.exp(found.x))
    return best_intercept(slope), slope


def line_log_likelihood(
    intercept: float, slope: float, hazard: Floats, seen: Floats, weight: Floats
) -> float:
    """Tell how likely the events are under a line: up to a constant that is the same for all lines."""
    rising = intercept + np.log(slope) + (slope - 1) * np.log(hazard)
    return float(weight @ (seen * rising - np.exp(intercept) * hazard**slope))


def moved(said: Predictions, intercept: float, slope: float) -> Predictions:
    """Put curves, and what bounds they have, on another line.

    >>> from medloom.tasks.survival import Curves
    >>> said = Curves(np.array([1.0]), np.array([[[0.5]]])).predictions([7], ["death"])
    >>> moved(said, np.log(2), 1.0).frame["value"].round(3).to_list()
    [0.75]
    """
    names = ("value", "low", "high")
    cumulative = [-(-pl.col(name).clip(0, 1 - 1e-12)).log1p() for name in names]
    after = [
        (1 - (-np.exp(intercept) * hazard.pow(slope)).exp()).alias(name)
        for name, hazard in zip(names, cumulative, strict=True)
    ]
    return Predictions(said.frame.with_columns(after), said.model)
