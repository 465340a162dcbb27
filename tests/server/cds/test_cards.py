"""What a card says."""

from __future__ import annotations

from medloom.loop.advice import Advice, Answer
from medloom.server.cds.cards import card
from medloom.tasks.question import Question, Title
from tests.tasks.builders import at


def test_a_prognosis_is_told_at_the_times_that_were_asked_about() -> None:
    question = Question(
        task="fall",
        kind="survival",
        title=Title(en="Fall", zh="跌倒"),
        definition="d",
        unit="d",
        classes=("fall",),
        horizons=(7.0, 30.0),
    )
    answers = tuple(Answer("fall", end / 100, end=end) for end in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 30.0))
    advice = Advice(
        id="0" * 32,
        service="risk",
        model="fall.cox@1",
        package="p",
        question=question,
        subject_id=1,
        prediction_time=at(0),
        made="2020-06-01T00:00:00.000000Z",
        answers=answers,
        output="fall",
        input_digest="i",
        record_digest="r",
    )
    made = card(advice, "https://here", "site", "en")
    assert made["summary"] == "Fall: fall within 30 d: 30 %"
    assert "- fall within 7 d: 7" in made["detail"]
    assert "within 1 d" not in made["detail"]
