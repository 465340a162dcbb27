"""Advice as a card: one line, details in Markdown, where it comes from, and why somebody might override it."""

from __future__ import annotations

import re
import uuid
from typing import Any, Final
from urllib.parse import quote

from medloom.explanation.numbers import moment, percent
from medloom.explanation.wording import amount
from medloom.foundation.messages import Language, Text2, tr
from medloom.foundation.pages import intended_use
from medloom.loop import reviews
from medloom.loop.advice import Advice, Answer

_SUMMARY: Final = 139  # characters; fewer than 140 (section "Card Attributes")
_REASONS: Final = 5
_OTHERS: Final = 5
_TOPICS: Final = "urn:medloom:task"
# What GitHub Flavored Markdown gives a meaning to (section 2.4), addresses that become links by themselves included.
_MARKUP: Final = re.compile(r"[\\`*_\[\]<>#|~&!@$]|(?<=\w):(?=//)|(?i:(?<=www)\.)")


def card(advice: Advice, address: str, site: str, language: Language) -> dict[str, Any]:
    """Make a card (section "Card Attributes"); speak `language` around it.

    Args:
        advice: what is shown.
        address: of this server, without a slash at its end.
        site: its name.
        language: of texts that the advice carries in both.
    """
    made = {
        "uuid": card_uuid(advice.id),
        "summary": _summary(advice, language),
        "detail": _detail(advice, language),
        "indicator": "warning" if advice.alert else "info",
        "source": {
            "label": f"Medloom · {site}",
            "url": f"{address}/",
            "topic": {
                "system": _TOPICS,
                "code": advice.question.task,
                "display": getattr(advice.question.title, language),
            },
        },
        "overrideReasons": [
            {
                "code": reason,
                "system": reviews.REASON_SYSTEM,
                "display": _in(reviews.reason_name(reason), language),
            }
            for reason in reviews.REASONS
        ],
        "links": [
            {
                "label": tr("Evidence: how good this model was on patients it had not seen"),
                "url": f"{address}/models/{quote(advice.model)}",
                "type": "absolute",
            }
        ],
    }
    if advice.proposals:
        made["suggestions"] = [
            {"label": _in(proposal, language), "uuid": suggestion_uuid(advice.id, place)}
            for place, proposal in enumerate(advice.proposals)
        ]
        made["selectionBehavior"] = "any"
    return made


def card_uuid(advice_id: str) -> str:
    """Write the number of an advice as a card's uuid.

    >>> card_uuid("4e0a3a1e32834575ab82028d55fe2719")
    '4e0a3a1e-3283-4575-ab82-028d55fe2719'
    """
    return str(uuid.UUID(advice_id))


def suggestion_uuid(advice_id: str, place: int) -> str:
    """Name one of an advice's proposals, the same every time."""
    return str(uuid.uuid5(uuid.UUID(advice_id), str(place)))


def escaped(text: str) -> str:
    r"""Take from a text what Markdown would make of it: markup, HTML, links.

    >>> escaped("a *b* <img> [c](http://d) www.e.org")
    'a \\*b\\* \\<img\\> \\[c\\](http\\://d) www\\.e.org'
    """
    return _MARKUP.sub(lambda found: "\\" + found[0], " ".join(text.split()))


def _summary(advice: Advice, language: Language) -> str:
    """Say the answer in one line; of a long title what fits."""
    title, said = getattr(advice.question.title, language), _said(advice, advice.answer, language)
    room = _SUMMARY - len(tr("{title}: {answer}", title="", answer=said))
    if len(title) > room:
        title = title[: max(room - 1, 0)].rstrip() + "…"
    return tr("{title}: {answer}", title=title, answer=said)[:_SUMMARY]


def _detail(advice: Advice, language: Language) -> str:
    parts = [f"**{escaped(_said(advice, advice.answer, language))}**"]
    times = advice.question.horizons
    others = [one for one in advice.answers if one is not advice.answer and (not times or one.end in times)]
    if others:
        parts.append(_list([escaped(_said(advice, one, language)) for one in others[:_OTHERS]]))
    if advice.reasons:
        parts.append(f"**{tr('Why')}**")
        parts.append(
            _list(
                [
                    ("▲ " if one.contribution > 0 else "▼ ") + escaped(_in(one.said, language))
                    for one in advice.reasons[:_REASONS]
                ]
            )
        )
        parts.append(tr("▲ raises the answer, ▼ lowers it; strongest first."))
    # a caution says it again, with what makes it so
    if advice.unlike is not None and not any(advice.unlike.en in one.en for one in advice.cautions):
        parts.append(f"**{tr('Like those it was tested on?')}** {escaped(_in(advice.unlike, language))}")
    if advice.evidence is not None:
        parts.append(f"**{tr('Evidence')}** {escaped(_in(advice.evidence, language))}")
    if advice.cautions:
        parts.append(f"**{tr('Cautions')}**")
        parts.append(_list([escaped(_in(one, language)) for one in advice.cautions]))
    parts.append(
        tr("As of {time}. Model {model}.", time=moment(advice.prediction_time), model=f"`{advice.model}`")
    )
    parts.append(_in(intended_use(), language))
    return "\n\n".join(parts)


def _said(advice: Advice, answer: Answer, language: Language) -> str:
    """Say one answer: a risk, a value, a class with its chance, a chance by a time."""
    question = advice.question
    if question.kind == "regression":
        value, *ends = (_in(amount(one, question.unit), language) for one in _numbers(answer))
    else:
        value, *ends = (percent(one) for one in _numbers(answer))
    said = tr("{value} ({low} to {high})", value=value, low=ends[0], high=ends[1]) if ends else value
    if answer.end is not None:
        time = f"{answer.end:g} {question.unit or ''}".strip()
        return tr("{event} within {time}: {risk}", event=answer.output, time=time, risk=said)
    if question.kind in ("multiclass", "multilabel"):
        return tr("{title}: {answer}", title=answer.output, answer=said)
    return said


def _numbers(answer: Answer) -> list[float]:
    """Give the value, and its range where there is one."""
    if answer.low is None or answer.high is None:
        return [answer.value]
    return [answer.value, answer.low, answer.high]


def _list(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _in(text: Text2, language: Language) -> str:
    return text.zh if language == "zh" else text.en
