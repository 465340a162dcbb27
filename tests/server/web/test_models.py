"""Models: what was found out about them, who lets them answer, how they are used."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from medloom.database.engine import Database
from medloom.foundation.files import read_json, write_json
from medloom.loop import releases, reviews
from medloom.loop.reviews import Opinion
from medloom.loop.usage import PROGRAM, usage_of
from medloom.server import accounts
from medloom.server.backend import Backend
from medloom.server.gate import DOCUMENT_POLICY, POLICY
from medloom.tasks import models
from tests.loop.advised import ANNA, LIN, database_in, store
from tests.server.conftest import Visitor
from tests.server.ward import MODEL, OTHER_MODEL

Client = Callable[[str], Visitor]


def test_models_are_listed_with_state_evidence_and_who(client: Client) -> None:
    page = client("expert").get("/models").text
    assert "Kidney failure within 48 hours" in page
    assert page.index("logistic@1") < page.index("tree@1")  # what answers stands first
    assert "answers now" in page and "proposed by scientist" in page and "signed by lead" in page
    assert "AUROC" in page and "calibration slope" in page


def test_a_version_shows_metrics_with_intervals_and_no_deed_to_who_may_not(client: Client) -> None:
    page = client("doctor").get(f"/models/{MODEL}").text
    assert "Brier score" in page and "From 50 % on it is an alert." in page
    assert "/retire" not in page and "/propose" not in page
    assert client("doctor").submit(f"/models/{OTHER_MODEL}/propose", note="x").status_code == 403
    assert client("doctor").submit("/releases/1/retire", reason="x").status_code == 403


def test_report_and_card_carry_their_styles_and_run_nothing(client: Client) -> None:
    for name in ("report", "card"):
        answer = client("lead").get(f"/models/{MODEL}/{name}")
        assert answer.status_code == 200
        assert 'aria-label="English" checked>' in answer.text
        assert f'<a href="/models/{MODEL}">← <span class="en">Back to the model</span>' in answer.text
        assert answer.headers["content-security-policy"] == DOCUMENT_POLICY
    assert client("lead").get(f"/models/{MODEL}").headers["content-security-policy"] == POLICY
    assert client("lead").get(f"/models/{OTHER_MODEL}/report").status_code == 404
    assert client("lead").get("/models/..%2F..%2Fsite.toml/report").status_code in (404, 422)
    assert client("lead").get(f"/models/{MODEL}/evaluation.json").status_code == 422


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"note": " "}, "say why"),
        ({"note": "x", "threshold": "high"}, "a risk between 0 and 100 %"),
        ({"note": "x", "threshold": "120"}, "a risk between 0 and 100 %"),
    ],
)
def test_a_proposal_that_lacks_something_is_asked_for_again(
    client: Client, typed: dict[str, str], message: str
) -> None:
    answer = client("scientist").submit(f"/models/{OTHER_MODEL}/propose", **typed)
    assert answer.status_code == 422
    assert message in answer.text


def test_two_persons_release_and_one_rolls_back(client: Client, backend: Backend) -> None:
    scientist, lead = client("scientist"), client("lead")
    form = scientist.get(f"/models/{OTHER_MODEL}").text
    assert "you cannot sign what you proposed" in form
    done = scientist.submit(f"/models/{OTHER_MODEL}/propose", note="simpler", threshold="40 %")
    assert done.headers["location"] == f"/models/{OTHER_MODEL}"
    number = next(one.id for one in releases.every(backend.database) if one.model == OTHER_MODEL)
    own = scientist.get(f"/models/{OTHER_MODEL}").text
    assert (
        "You proposed it, so somebody else of governance signs." in own
        and f"/releases/{number}/sign" not in own
    )
    assert "1 waiting for your signature" in lead.get("/models").text
    assert lead.submit(f"/releases/{number}/sign").status_code == 303
    assert [str(one.name) for one in backend.serving.served] == [OTHER_MODEL]
    page = lead.get(f"/models/{OTHER_MODEL}").text
    assert "From 40 % on it is an alert." in page and f"Roll back to {MODEL}" in page
    assert lead.submit(f"/releases/{number}/roll-back", reason=" ").status_code == 422
    assert lead.submit(f"/releases/{number}/roll-back", reason="worse at night").status_code == 303
    assert [str(one.name) for one in backend.serving.served] == [MODEL]
    assert "worse at night" in lead.get(f"/models/{OTHER_MODEL}").text


def test_a_package_that_changed_since_it_was_proposed_is_not_signed(client: Client, backend: Backend) -> None:
    scientist = client("scientist")
    scientist.submit(f"/models/{OTHER_MODEL}/propose", note="again")
    number = releases.every(backend.database)[0].id
    sums = backend.site.directory.models / "outcome.tree" / "1" / "package" / "SHA256SUMS"
    before = sums.read_bytes()
    sums.write_bytes(before + b" ")
    refused = client("lead").submit(f"/releases/{number}/sign")
    assert refused.status_code == 422 and "changed after it was proposed" in refused.text
    sums.write_bytes(before)
    assert scientist.submit(f"/proposals/{number}/withdraw", reason="not yet").status_code == 303
    assert releases.find(backend.database, number).state == "refused"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = database_in(tmp_path)
    yield opened
    opened.close()


def test_usage_counts_weeks_roles_alerts_and_what_became_of_them(database: Database) -> None:
    accounts.create(database, ANNA, "lin", "clinician", "a long sentence here")
    # 2026-01-01 is a Thursday; each is given a day later
    told = [
        store(database, subject, value, hours=24 * (subject - 1), asked_by=by)
        for subject, value, by in ((1, 0.9, "lin"), (2, 0.2, "lin"), (6, 0.9, "ehr"))
    ]
    reviews.add(database, told[0].id, Opinion("override", "judgement"), LIN)
    reviews.add(database, told[0].id, Opinion("accept"), LIN)
    reviews.add(database, told[2].id, Opinion("override", "wrong-data"), LIN)
    usage = usage_of(database, "outcome.tree@1", date(2026, 1, 8), 0.5, weeks=3)
    assert [(one.begins, one.asked, one.alerts, one.accepted, one.overridden) for one in usage.weeks] == [
        (date(2025, 12, 22), 0, 0, 0, 0),
        (date(2025, 12, 29), 2, 1, 1, 0),
        (date(2026, 1, 5), 1, 1, 0, 1),
    ]
    assert usage.roles == {"clinician": 2, PROGRAM: 1}
    assert usage_of(database, "outcome.tree@1", date(2026, 1, 8) + timedelta(days=90)).total.asked == 0


def test_the_outcomes_of_several_classes_are_named_with_their_shares(
    client: Client, backend: Backend
) -> None:
    folder = models.evidence_directory(backend.site.directory, backend.site.model_name(OTHER_MODEL))
    path = folder / "held_out" / "evaluation.json"
    known = read_json(path)
    write_json(path, known | {"prevalence": {"home": 0.9, "ward": 0.1}})
    assert "“home” in 90 %" in client("doctor").get(f"/models/{OTHER_MODEL}").text
    write_json(path, known)
