"""The names of metrics of survival, and plain sentences, in both languages."""

from medloom.foundation.messages import Text2, text2


def metric_name(name: str, unit: str | None = None) -> Text2:
    """Name a metric for a person: `c_index`, `auc.365`, `death: c_index`; an unknown name stays as it is.

    >>> metric_name("auc.365", "d").en
    'AUC at 365 d'
    """
    event, _, own = name.rpartition(": ")
    kind, _, horizon = own.partition(".")
    at = f"{horizon} {unit}" if unit else horizon
    names = {
        "c_index": text2("C-index (Harrell)"),
        "c_index_ipcw": text2("C-index, weighted for censoring (Uno)"),
        "ibs": text2("integrated Brier score"),
        "d_calibration": text2("p-value of D-calibration"),
        "rmst_difference": text2("event-free time, predicted − observed"),
        "auc": text2("AUC at {time}", time=at),
        "brier": text2("Brier score at {time}", time=at),
        "observed_expected": text2("observed / expected events by {time}", time=at),
    }
    said = names.get(kind, Text2(own, own))
    return Text2(f"{event}: {said.en}", f"{event}：{said.zh}") if event else said


def metric_meaning(name: str) -> Text2 | None:
    """Say in one line what a metric means and what would be ideal."""
    kind = name.rpartition(": ")[2].partition(".")[0]
    meanings = {
        "c_index": text2(
            "how often, of two patients, the one ranked at higher risk has the event sooner; 1 is ideal, 0.5 is chance"
        ),
        "c_index_ipcw": text2(
            "the C-index that does not depend on who was censored; 1 is ideal, 0.5 is chance"
        ),
        "ibs": text2("mean squared error of the risk, averaged over time; 0 is ideal"),
        "d_calibration": text2("below 0.05 the curves do not fit the times observed"),
        "rmst_difference": text2("0 is ideal; above 0 patients are told too much time, below 0 too little"),
        "auc": text2(
            "how often a patient with the event by then is ranked above one without; 1 is ideal, 0.5 is chance"
        ),
        "brier": text2("mean squared error of the risk by then; 0 is ideal"),
        "observed_expected": text2("1 is ideal; above 1 the risks are too low on average, below 1 too high"),
    }
    return meanings.get(kind)
