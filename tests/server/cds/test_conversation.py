"""A record system talks with the server as CDS Hooks 2.0 has it, over a real connection."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import jsonschema
import pytest
from sqlalchemy import select

from medloom.care import risk
from medloom.database.tables.audit import audit
from medloom.loop import reviews
from tests.server.cds import schema
from tests.server.cds.ehr import Ehr
from tests.server.cds.served import Hospital, Json, bundle, call, hospital, resources

VIEW = "/aki-patient-view"
ORDER = {"resourceType": "MedicationRequest", "id": "m1", "status": "draft"}
ORDERING: Json = {"draftOrders": bundle(ORDER), "selections": ["MedicationRequest/m1"]}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with hospital(tmp_path_factory.mktemp("hospital")) as made:
        yield made


@pytest.fixture(scope="module")
def wanted(site: Hospital) -> tuple[str, ...]:
    return tuple(httpx.get(site.url()).json()["services"][0]["prefetch"])


def cards_of(answer: httpx.Response) -> list[Json]:
    assert answer.status_code == 200, answer.text
    jsonschema.validate(answer.json(), schema.ANSWER)
    cards: list[Json] = answer.json()["cards"]
    return cards


def audited(site: Hospital, action: str) -> Json:
    with site.backend.database.reading() as connection:
        query = select(audit).where(audit.c.action == action).order_by(audit.c.number.desc()).limit(1)
        return dict(connection.execute(query).mappings().one())


def test_the_whole_conversation(site: Hospital) -> None:
    found = httpx.get(site.url())  # nobody has to say who they are to see what there is
    assert found.status_code == 200
    jsonschema.validate(found.json(), schema.DISCOVERY)
    service = next(one for one in found.json()["services"] if one["hook"] == "patient-view")
    assert service["id"] == "aki-patient-view"
    asked = "Observation?patient={{context.patientId}}&code=http://loinc.org|2160-0,http://snomed.info/sct|14669001"
    assert service["prefetch"]["observation"] == asked  # what the model looks at, and no more
    assert service["prefetch"]["encounter"] == "Encounter?patient={{context.patientId}}"

    prefetch = resources("X9", 2.6)
    (card,) = cards_of(site.post(VIEW, call("X9", prefetch=prefetch, wanted=service["prefetch"])))
    assert card["summary"].startswith("Acute kidney injury within 48 hours: ")
    assert card["indicator"] == "warning"  # the release alerts from a risk of a half on
    assert "creatinine" in card["detail"].lower()
    assert card["links"][0]["url"].startswith(site.address)

    advice = risk.find(site.backend.database, card["uuid"].replace("-", ""))
    assert advice.answer.value > 0.5
    assert advice.subject_id < -1  # nobody of the record
    assert risk.reproduce(site.site, site.backend.database, advice.id).same
    called = audited(site, "cds.called")
    assert (called["actor"], called["subject_id"], called["outcome"]) == (
        "cds:ehr",
        advice.subject_id,
        "done",
    )
    assert json.loads(called["detail"])["user"] == "Practitioner/grace"

    told = {
        "feedback": [
            {
                "card": card["uuid"],
                "outcome": "overridden",
                "overrideReason": {
                    "reason": {key: card["overrideReasons"][0][key] for key in ("code", "system")},
                    "userComment": "Creatinine was drawn above a drip.",
                },
                "outcomeTimestamp": "2020-06-03T12:30:00Z",
            }
        ]
    }
    for _ in range(2):  # sent again after a lost answer
        assert site.post(f"{VIEW}/feedback", told).status_code == 200
    (kept,) = reviews.history(site.backend.database, advice.id)
    assert (kept.reviewer, kept.via, kept.opinion.verdict) == ("cds:ehr", "cds-hooks", "override")
    assert kept.opinion.reason == card["overrideReasons"][0]["code"]
    assert kept.decided == "2020-06-03T12:30:00.000000Z"
    with site.backend.database.reading() as connection:
        site.backend.database.audit.verify(connection)


def test_feedback_sent_again_takes_the_place_of_no_later_one(site: Hospital, wanted: Any) -> None:
    (card,) = cards_of(site.post(VIEW, call("X9", prefetch=resources("X9", 2.0), wanted=wanted)))
    first, second = (
        {
            "feedback": [
                {"card": card["uuid"], "outcome": outcome, "outcomeTimestamp": f"2020-06-03T12:3{n}:00Z"}
            ]
        }
        for n, outcome in enumerate(("overridden", "accepted"))
    )
    for told in (first, second, first):
        assert site.post(f"{VIEW}/feedback", told).status_code == 200
    (current,) = reviews.current(site.backend.database, card["uuid"].replace("-", ""))
    assert current.opinion.verdict == "accept"


def test_what_was_sent_is_answered_as_the_same_facts_in_the_record(site: Hospital, wanted: Any) -> None:
    (kept,) = cards_of(site.post(VIEW, call("P3")))
    record = site.backend.site.record
    subject = record.find("P3")
    value = float(record.events([subject]).drop_nulls("numeric_value")["numeric_value"][0])
    sent = resources("P3", value)
    del sent["patient"]["gender"], sent["patient"]["birthDate"]  # the record has neither
    (card,) = cards_of(site.post(VIEW, call("P3", prefetch=sent, wanted=wanted)))
    assert card["summary"] == kept["summary"]
    for one in (kept, card):
        assert risk.find(site.backend.database, one["uuid"].replace("-", "")).subject_id == subject


def test_a_record_answers_those_alone_whose_patients_it_knows(site: Hospital) -> None:
    assert site.post(VIEW, call("P3")).status_code == 200
    assert site.post(VIEW, call("P3"), site.stranger).status_code == 412
    answer = site.post(VIEW, call("nobody"))
    assert answer.status_code == 412
    assert "fhirServer" in answer.json()["detail"]


def test_all_of_prefetch_is_needed_on_one_page_and_may_be_null(site: Hospital, wanted: Any) -> None:
    sent = call("X9", prefetch=resources("X9", 2.0), wanted=wanted)
    del sent["prefetch"]["condition"]
    answer = site.post(VIEW, sent)
    assert answer.status_code == 412
    assert "condition" in answer.json()["detail"]
    paged = resources("X9", 2.0)
    paged["observation"]["link"] = [{"relation": "next", "url": "https://ehr.example.org/2"}]
    assert site.post(VIEW, call("X9", prefetch=paged, wanted=wanted)).status_code == 412
    assert cards_of(site.post(VIEW, call("X9", prefetch={}, wanted=wanted))) == []  # nothing is known of them


def test_facts_of_somebody_else_are_refused(site: Hospital, wanted: Any) -> None:
    mixed = resources("X9", 2.0) | {"observation": resources("X8", 2.0)["observation"]}
    answer = site.post(VIEW, call("X9", prefetch=mixed, wanted=wanted))
    assert answer.status_code == 400
    assert "X8" not in answer.text


@pytest.mark.parametrize("began", [30, -60])
def test_who_is_not_asked_about_now_gets_no_card(site: Hospital, wanted: Any, began: float) -> None:
    prefetch = resources("X9", 2.6, began)  # asked 48 hours after admission, about the next 48
    assert cards_of(site.post(VIEW, call("X9", prefetch=prefetch, wanted=wanted))) == []


@pytest.mark.parametrize("hook", ["order-select", "order-sign"])
def test_who_writes_an_order_is_told_of_high_risks_alone(site: Hospital, wanted: Any, hook: str) -> None:
    for value, cards in ((2.6, 1), (0.6, 0)):
        sent = call("X9", hook, resources("X9", value), wanted, **ORDERING)
        assert len(cards_of(site.post(f"/aki-{hook}", sent))) == cards


def test_cards_speak_the_language_that_is_asked_for(site: Hospital) -> None:
    sent = call("P3")
    (card,) = cards_of(site.post(VIEW, sent, **{"accept-language": "zh-CN,zh;q=0.9"}))
    assert card["summary"].startswith("48小时内急性肾损伤")
    found = httpx.get(site.url(), headers={"accept-language": "zh"}).json()
    assert found["services"][0]["title"] == "48小时内急性肾损伤"
    refused = site.post(VIEW, call("nobody"), **{"accept-language": "zh"})
    assert "needed" not in refused.json()["detail"]


def without(body: Json, *path: str) -> Json:
    copy = json.loads(json.dumps(body))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return dict(copy)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (VIEW, b"{", 400),
        (VIEW, b"[1]", 400),
        (VIEW, b"\xff\xfe", 400),
        (VIEW, b"[" * 100_000, 400),
        (VIEW, call("P3", "order-sign"), 400),
        (VIEW, call("P3", "encounter-start"), 400),
        (VIEW, call("P3") | {"hookInstance": "7"}, 400),
        (VIEW, without(call("P3"), "hookInstance"), 400),
        (VIEW, without(call("P3"), "context", "patientId"), 400),
        (VIEW, without(call("P3"), "context", "userId"), 400),
        (VIEW, call("P3") | {"prefetch": []}, 400),
        (VIEW, call(""), 400),
        ("/aki-order-sign", call("P3", "order-sign"), 400),
        ("/aki-order-select", call("P3", "order-select", draftOrders=bundle(ORDER)), 400),
        ("/aki-order-select", call("P3", "order-select", **ORDERING | {"draftOrders": ORDER}), 400),
        ("/nothing", call("P3"), 404),
        (f"{VIEW}/feedback", b"{", 400),
        (f"{VIEW}/feedback", {"feedback": []}, 400),
        (f"{VIEW}/feedback", {"feedback": [{"card": "x", "outcome": "accepted"}]}, 400),
    ],
)  # fmt: skip
def test_what_is_not_as_it_should_be_is_refused(site: Hospital, path: str, body: Any, status: int) -> None:
    answer = site.post(path, body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) == {"type", "title", "status", "detail"}
    assert "Traceback" not in answer.text
    assert "P3" not in answer.text


def test_a_body_that_is_too_large_is_refused(site: Hospital) -> None:
    huge = call("P3") | {"extension": {"x": "x" * site.backend.settings.most_body}}
    assert site.post(VIEW, huge).status_code == 413


def test_feedback_on_what_was_not_given_is_not_found(site: Hospital) -> None:
    (card,) = cards_of(site.post(VIEW, call("P3")))

    def told(uuid: str) -> Json:
        return {
            "feedback": [{"card": uuid, "outcome": "accepted", "outcomeTimestamp": "2020-06-03T12:30:00Z"}]
        }

    assert site.post(f"{VIEW}/feedback", told("9368d37b-283f-44a0-93ea-547cebab93ed")).status_code == 404
    assert site.post(f"{VIEW}/feedback", told(card["uuid"]), site.stranger).status_code == 404
    assert site.post("/other-patient-view/feedback", told(card["uuid"])).status_code == 404
    assert reviews.history(site.backend.database, card["uuid"].replace("-", "")) == []


def test_nobody_is_answered_without_a_good_token(site: Hospital) -> None:
    here = site.url(VIEW)
    used = site.ehr.token(here)
    assert httpx.post(here, json=call("P3"), headers={"authorization": f"Bearer {used}"}).status_code == 200
    forged, other = Ehr().token(here), site.ehr.token(site.url("/aki-order-sign"))
    stale = site.ehr.token(here, exp=int(time.time()) - 60)
    for header in (
        "",
        "Bearer",
        f"Basic {used}",
        *(f"Bearer {one}" for one in (used, forged, other, stale, "mlm_x")),
    ):
        for path in (VIEW, f"{VIEW}/feedback"):
            answer = httpx.post(site.url(path), content=b"{", headers={"authorization": header})
            assert answer.status_code == 401, header
            assert answer.headers["www-authenticate"].startswith("Bearer")
    assert audited(site, "cds.refused")["actor"] == "cds:ehr"


def test_of_many_calls_with_one_token_one_is_answered(site: Hospital) -> None:
    headers = {"authorization": f"Bearer {site.ehr.token(site.url(VIEW))}"}
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(httpx.post, site.url(VIEW), json=call("P3"), headers=headers) for _ in range(8)]
    assert sorted(one.result().status_code for one in sent) == [200] + 7 * [401]
