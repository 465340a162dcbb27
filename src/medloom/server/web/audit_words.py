"""The names of what the audit log tells of."""

from __future__ import annotations

from medloom.foundation.messages import Text2, text2


def action_name(action: str) -> Text2:
    """Name an action; one that is not known here stays as it is."""
    names = {
        "access.refused": text2("tried what the role does not permit"),
        "account.changed": text2("account changed"),
        "account.created": text2("account made"),
        "account.password": text2("password set"),
        "account.unlocked": text2("account unlocked"),
        "advice.accepted": text2("advice accepted"),
        "advice.given": text2("advice given"),
        "advice.overridden": text2("advice overridden"),
        "advice.seen": text2("advice seen"),
        "audit.exported": text2("audit log exported"),
        "audit.seen": text2("audit log seen"),
        "audit.verified": text2("audit log verified"),
        "card.seen": text2("model card seen"),
        "care-team.set": text2("care team set"),
        "case.read": text2("case read"),
        "case.result_seen": text2("result of a case seen"),
        "case.seen": text2("case seen"),
        "case.skipped": text2("case skipped"),
        "cases.drawn": text2("cases drawn"),
        "cds.called": text2("asked by CDS Hooks"),
        "cds.refused": text2("CDS Hooks refused"),
        "events.written": text2("facts written"),
        "fhir.read": text2("read by FHIR"),
        "fhir.searched": text2("searched by FHIR"),
        "glass.broken": text2("opened a patient of others"),
        "identifiers.seen": text2("identifiers seen"),
        "labels.exported": text2("labels exported"),
        "model.asked": text2("model asked"),
        "patient.refused": text2("patient refused"),
        "patient.seen": text2("patient seen"),
        "patient.sought": text2("patient searched for"),
        "patients.listed": text2("patients listed"),
        "release.proposed": text2("model proposed"),
        "release.refused": text2("model refused"),
        "release.retired": text2("model retired"),
        "release.rolled_back": text2("model rolled back"),
        "release.signed": text2("model signed"),
        "report.seen": text2("evidence report seen"),
        "sign-in": text2("sign-in"),
        "similar.seen": text2("similar patients seen"),
        "timeline.seen": text2("timeline seen"),
        "token.created": text2("token made"),
        "token.revoked": text2("token revoked"),
        "worklist.seen": text2("worklist seen"),
    }
    return names.get(action, Text2(action, action))
