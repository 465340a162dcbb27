"""AutoPrognosis (Imrie et al., PLOS Digit Health 2023), in an environment of its own: learns from rows, answers others.

_tabular_peer.py TRAIN TEST OUT SECONDS SEED

As its authors have it (five learners, their spaces, five folds, AUROC, stacking and weighting of the best three), but
for three things that short searches need. Its time limit is one for each learner's search and stops no trial that runs,
of which one may grow 10,000 trees five times over: here each trial is a process that ends with its learner's time, and
what it began counts as a setting that failed. So it is with an ensemble that is being judged; the weighted one is
always there. Trials are limited by time alone. And it gives its best ensemble even where that reaches no AUROC of 0.65
over folds.
"""

import json
import multiprocessing
import os
import sys
import tempfile
import time

os.environ |= {"N_OPT_JOBS": "1", "N_LEARNER_JOBS": "1"}  # one core, as the other side has

import pandas as pd

# Of the whole time: for the search of each of five learners after its defaults, and for judging each ensemble. The rest
# goes to the defaults, to weighting, to judging the result once more, and to learning it.
SEARCH, ENSEMBLE = 0.05, 0.2


def main(train, test, out, seconds, seed):
    import numpy as np
    from autoprognosis.explorers import classifiers, classifiers_combos
    from autoprognosis.studies.classifiers import ClassifierStudy

    limit = max(1, round(SEARCH * float(seconds)))
    evaluate = classifiers.evaluate_estimator
    classifiers.evaluate_estimator = _searching(evaluate, limit)
    classifiers_combos.evaluate_estimator = _judging(evaluate, ENSEMBLE * float(seconds))
    learned, asked = pd.read_csv(train), pd.read_csv(test)
    learned["label"] = learned["label"].astype(int)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as workspace:
        study = ClassifierStudy(
            learned,
            "label",
            num_iter=1000,
            num_study_iter=1,
            timeout=limit,
            study_name="study",
            workspace=workspace,
            score_threshold=0.0,
            random_state=int(seed),
        )
        model = study.fit()
    took = time.perf_counter() - began
    np.save(out, model.predict_proba(asked).to_numpy()[:, 1])
    # what libraries print may not end its line
    print("\n" + json.dumps({"fit_s": took, "model": model.name()}))


def _searching(evaluate, limit):
    """Run each trial in a process of its own; from a learner's second trial on, within what is left of its time."""
    ends = {}

    def evaluated(model, *arguments, **more):
        learner = model.name().split("->")[-1]
        left = None if learner not in ends else max(ends[learner] - time.monotonic(), 0.01)
        try:
            return _within(left, evaluate, model, *arguments, **more)
        finally:
            # its own clock starts after the defaults were judged
            ends.setdefault(learner, time.monotonic() + limit)

    return evaluated


def _judging(evaluate, limit):
    """Judge an ensemble within its time; one that has been learned already takes little."""

    def evaluated(model, *arguments, **more):
        if more.get("pretrained"):
            return evaluate(model, *arguments, **more)
        return _within(limit, evaluate, model, *arguments, **more)

    return evaluated


def _within(seconds, evaluate, *arguments, **more):
    """Evaluate in a process of its own, which is ended when the time is up; None: it has all."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    work = context.Process(target=_send, args=(theirs, evaluate, arguments, more))
    work.start()
    theirs.close()
    try:
        found = ours.recv() if ours.poll(seconds) else None
    except EOFError:
        found = None
    work.kill()
    work.join()
    if found is None:
        raise TimeoutError("it failed, or did not end in time")
    return found


def _send(pipe, evaluate, arguments, more):
    pipe.send(evaluate(*arguments, **more))


if __name__ == "__main__":
    main(*sys.argv[1:])
