"""AutoPrognosis (Imrie et al., PLOS Digit Health 2023), in an environment of its own: learns from rows, answers others.

_tabular_peer.py TRAIN TEST OUT SECONDS SEED

As its authors have it (five learners, their spaces, five folds, AUROC, stacking and weighting of the best three), but
for three things that short searches need. Its time limit is one for each learner's search and stops no trial that runs,
of which one may grow 10,000 trees five times over: here each trial is a process that ends with its learner's time, and
what it began counts as a setting that failed. Trials are limited by time alone. It gives its best ensemble even where
that reaches no AUROC of 0.65 over folds.
"""

import json
import multiprocessing
import os
import sys
import tempfile
import time

os.environ |= {"N_OPT_JOBS": "1", "N_LEARNER_JOBS": "1"}  # one core, as the other side has

import pandas as pd

# Of the whole time, for each of five learners: as much again goes to what is tried first of each, and to the ensemble.
SHARE = 0.1


def main(train, test, out, seconds, seed):
    import numpy as np
    from autoprognosis.explorers import classifiers
    from autoprognosis.studies.classifiers import ClassifierStudy

    limit = max(1, round(SHARE * float(seconds)))
    classifiers.evaluate_estimator = _within(classifiers.evaluate_estimator, limit)
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
    print(json.dumps({"fit_s": took, "model": model.name()}))


def _within(evaluate, limit):
    """Run each trial in a process of its own; from a learner's second trial on, within what is left of its time."""
    context, ends = multiprocessing.get_context("fork"), {}

    def evaluated(model, *arguments, **more):
        learner = model.name().split("->")[-1]
        ours, theirs = context.Pipe(duplex=False)
        work = context.Process(target=_send, args=(theirs, evaluate, model, arguments, more))
        work.start()
        theirs.close()
        left = None if learner not in ends else max(ends[learner] - time.monotonic(), 0.01)
        try:
            found = ours.recv() if ours.poll(left) else None
        except EOFError:
            found = None
        work.kill()
        work.join()
        # its own clock starts after the defaults were judged
        ends.setdefault(learner, time.monotonic() + limit)
        if found is None:
            raise TimeoutError(f"{learner}: a trial failed, or did not end in time")
        return found

    return evaluated


def _send(pipe, evaluate, model, arguments, more):
    pipe.send(evaluate(model, *arguments, **more))


if __name__ == "__main__":
    main(*sys.argv[1:])
