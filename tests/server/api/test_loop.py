"""The API where people decide: reviews, cases, releases, accounts, the audit log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from medloom.loop import releases
from medloom.server.backend import Backend
from tests.server.api.conftest import Program
from tests.server.ward import MODEL, OTHER_MODEL

Programs = Callable[[str], Program]


def advice_of(program: Program, subject: int) -> dict[str, Any]:
    told: dict[str, Any] = program.post(
        "predictions", json={"model": "outcome", "subject_id": subject}
    ).json()
    return told


def test_advice_is_overridden_and_the_case_is_read_by_two_blinded_experts(program: Programs) -> None:
    doctor = program("doctor")
    told = advice_of(doctor, 2)
    address = f"advice/{told['id']}/reviews"
    assert doctor.post(address, json={"verdict": "override"}).status_code == 422
    sent = {"verdict": "override", "reason": "known", "comment": "dialysed", "answer": True}
    kept = doctor.post(address, json=sent)
    assert kept.status_code == 201 and kept.json()["via"] == "api" and kept.json()["answer"] is True
    changed = doctor.post(address, json={"verdict": "accept"}).json()
    assert changed["supersedes"] == kept.json()["id"]
    assert [one["verdict"] for one in doctor.get(address).json()["reviews"]] == ["accept", "override"]
    assert program("nurse").post(address, json={"verdict": "accept"}).status_code == 201
    assert program("scientist").post(address, json={"verdict": "accept"}).status_code == 403

    first, second = program("expert"), program("second")
    listed = first.get("cases").json()
    (case,) = listed["cases"]
    assert listed["waiting"] == {"outcome": 1} and case["state"] == "open"
    number = case["id"]
    assert first.get(f"cases/{number}/events").status_code == 422  # not handed out yet
    taken = first.post("cases/take", json={}).json()
    assert taken["id"] == number and str(told["answers"][0]["value"]) not in str(taken)
    seen = first.get(f"cases/{number}/events").json()
    assert seen["events"] and all(
        one["time"] is None or one["time"] <= taken["prediction_time"] for one in seen["events"]
    )
    assert "MEDS_BIRTH" not in [one["code"] for one in seen["events"]]
    assert first.get(f"cases/{number}/outcome").status_code == 422
    assert first.post(f"cases/{number}/reading", json={"answer": True}).json()["state"] == "second"
    assert first.post("cases/take", json={}).status_code == 404
    assert second.post("cases/take", json={"case": number}).json()["stage"] == "second"
    assert second.post(f"cases/{number}/skip").status_code == 204
    second.post("cases/take", json={"case": number})
    assert second.post(f"cases/{number}/reading", json={"answer": True}).json()["state"] == "agreed"
    outcome = second.get(f"cases/{number}/outcome").json()
    assert outcome["label"] is True and outcome["why"] == ["overridden"] and len(outcome["readings"]) == 2
    assert second.get("agreement/outcome").json()["agreed"] == 1


def test_cases_are_drawn_from_what_was_advised(program: Programs) -> None:
    for subject in (11, 12, 13):
        advice_of(program("doctor"), subject)
    expert, headers = program("expert"), {"idempotency-key": "draw"}
    drawn = expert.post("cases", json={"task": "outcome", "audit": 2}, headers=headers)
    assert len(drawn.json()["cases"]) == 2
    again = expert.post("cases", json={"task": "outcome", "audit": 2}, headers=headers)
    assert again.json() == drawn.json()
    pages = expert.get("cases", params={"limit": 1, "state": "open"}).json()
    assert len(pages["cases"]) == 1 and pages["next"]


def test_a_model_is_released_by_two_and_taken_back_by_one(program: Programs, backend: Backend) -> None:
    scientist, lead = program("scientist"), program("lead")
    names = {one["name"]: one["state"] for one in lead.get("models").json()["models"]}
    assert names == {MODEL: "active", OTHER_MODEL: None}
    evidence = lead.get(f"models/{MODEL}/evidence")
    assert "auroc" in evidence.json()["metrics"]
    again = lead.get(f"models/{MODEL}/evidence", headers={"if-none-match": evidence.headers["etag"]})
    assert again.status_code == 304
    assert lead.get(f"models/{MODEL}/card").json()
    assert len(lead.get(f"models/{MODEL}/usage").json()["weeks"]) == 12
    assert lead.get(f"models/{OTHER_MODEL}/card").status_code == 404

    proposal = {"model": OTHER_MODEL, "threshold": 0.4, "note": "simpler"}
    assert lead.post("releases", json=proposal).status_code == 403
    made = scientist.post("releases", json=proposal)
    assert made.status_code == 201 and made.json()["state"] == "proposed"
    number = made.json()["id"]
    assert scientist.get(f"http://testserver{made.headers['location']}").json() == made.json()
    assert scientist.post(f"releases/{number}/sign").status_code == 403
    assert lead.post(f"releases/{number}/sign").json()["state"] == "active"
    assert advice_of(program("doctor"), 3)["model"] == OTHER_MODEL
    assert lead.post(f"releases/{number}/roll-back", json={}).status_code == 422
    back = lead.post(f"releases/{number}/roll-back", json={"reason": "too many alerts"}).json()
    assert back["model"] == MODEL
    assert advice_of(program("doctor"), 3)["model"] == MODEL
    assert lead.get("releases").json()["releases"][0]["end_reason"] == "too many alerts"

    mine = scientist.post("releases", json=proposal).json()["id"]
    withdrawn = scientist.post(f"releases/{mine}/withdraw", json={"reason": "not yet"})
    assert withdrawn.json()["state"] == "refused"
    assert {one.state for one in releases.every(backend.database)} == {"active", "retired", "refused"}


def test_accounts_are_made_changed_and_closed(program: Programs) -> None:
    admin = program("admin")
    sent = {"name": "lin", "role": "clinician", "password": "a rather long sentence"}
    made = admin.post("accounts", json=sent, headers={"idempotency-key": "lin"})
    assert made.status_code == 201 and made.json()["must_change"] and "password" not in made.json()
    again = admin.post("accounts", json=sent, headers={"idempotency-key": "lin"})
    assert again.json() == made.json() and again.headers["idempotency-replayed"]
    assert admin.post("accounts", json=sent).status_code == 422
    assert admin.put("accounts/lin/team", json={"subject_ids": [3, 1, 3]}).json() == {"subject_ids": [1, 3]}
    assert admin.get("accounts/lin/team").json() == {"subject_ids": [1, 3]}
    assert admin.put("accounts/lin/team", json={"subject_ids": [987654]}).status_code == 422
    changed = admin.patch("accounts/lin", json={"role": "expert", "display": "Dr. Lin"}).json()
    assert (changed["role"], changed["display"]) == ("expert", "Dr. Lin")
    assert admin.put("accounts/lin/password", json={"password": "short"}).status_code == 422
    assert admin.put("accounts/lin/password", json={"password": "quite another sentence"}).status_code == 204
    assert admin.patch("accounts/lin", json={"disabled": True}).json()["disabled"]
    assert admin.patch("accounts/admin", json={"disabled": True}).status_code == 422
    assert "lin" in [one["name"] for one in admin.get("accounts").json()["accounts"]]
    assert admin.get("accounts/nobody").status_code == 404


def test_the_log_is_paged_filtered_and_verified(program: Programs) -> None:
    lead = program("lead")
    advice_of(program("doctor"), 7)
    (entry,) = lead.get("audit", params={"action": "advice.given", "subject_id": 7}).json()["entries"]
    assert (entry["actor"], entry["detail"]) == ("doctor", {"via": "api"})
    page = lead.get("audit", params={"limit": 3, "actor": "doctor"}).json()
    following = lead.get("audit", params={"limit": 3, "actor": "doctor", "cursor": page["next"]}).json()
    numbers = [one["number"] for one in page["entries"] + following["entries"]]
    assert numbers == sorted(set(numbers), reverse=True) and len(numbers) == 6
    verified = lead.get("audit/verify").json()
    assert lead.get("audit/verify", params={"head": verified["head"]}).status_code == 200
    assert lead.get("audit/verify", params={"head": "0" * 63 + "1"}).status_code == 409


def test_a_token_tells_whose_it_is(program: Programs) -> None:
    told = program("doctor").get("whoami").json()
    assert (told["name"], told["role"], told["sees_all"]) == ("doctor", "clinician", True)
    assert "ask" in told["permissions"] and told["now"].startswith("2020-06-03")
