"""The experts' queue: cases read blinded, decided where readers differ, and what became of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Final, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Path, Query, Request
from starlette.responses import Response

from medloom.care.cases import draw_from_board
from medloom.database.metadata import from_utc_text
from medloom.explanation.numbers import moment
from medloom.foundation.errors import InputError, MedloomError, NotFoundError
from medloom.foundation.messages import Text2, here, speaking, text2, tr
from medloom.loop import reading_queue, readings
from medloom.loop.choices import CATEGORICAL, Value, choices, name_of
from medloom.loop.reading_queue import Draw
from medloom.loop.readings import Case, Outcome, State
from medloom.server.access import Permission, Person, may
from medloom.server.backend import Backend, the_backend
from medloom.server.errors import wanted_language
from medloom.server.fhir.chart import Chart
from medloom.server.showing import advice_shown
from medloom.server.web.identity import Identity, identity_of
from medloom.server.web.rendering import go_to, page
from medloom.server.web.timeline import Timeline, timeline_of
from medloom.server.web.timeline_view import asked
from medloom.tasks.question import Question

router = APIRouter()

BackendOf = Annotated[Backend, Depends(the_backend)]
Reader = Annotated[Person, Depends(may(Permission.REVIEW))]
Number = Annotated[int, Path(ge=1, le=2**53)]
Task = Annotated[str, Query(max_length=80)]
HowMany = Annotated[int, Form(ge=0, le=200)]

_ROWS: Final = 50
_UNTOLD: Final = "untold"


@router.get("/review")
def queue(
    request: Request,
    backend: BackendOf,
    person: Reader,
    task: Task = "",
    state: Literal["", "open", "second", "agreed", "adjudicate", "decided"] = "",
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
) -> Response:
    """Show the queue: what waits for this reader, and all cases."""
    database, by = backend.database, person.actor
    rows = readings.listed(database, by, task=task or None, state=state or None, after=after, limit=_ROWS + 1)
    counts = readings.counts(database)
    waiting = readings.waiting_for(database, by, adjudicates=_adjudicates(person))
    with speaking(wanted_language(request.headers, request)):
        everything = [("", tr("all"))]
        names = {one: task_name(backend, one) for one in counts}
        states = {state: here(name) for state, name in state_names().items()}
        return page(
            request,
            person,
            "review.html.j2",
            rows=rows[:_ROWS],
            names=names,
            states=states,
            totals={one: sum(of_task.get(one, 0) for of_task in counts.values()) for one in states},
            waiting=waiting.get(task, 0) if task else sum(waiting.values()),
            tasks=[*everything, *names.items()],
            choices_of_state=[*everything, *states.items()],
            drawable=[(one, task_name(backend, one)) for one in _drawable(backend)],
            task=task,
            state=state,
            seed=int(backend.now().strftime("%Y%m%d")),
            more=_query(task, state, rows[_ROWS - 1].id) if len(rows) > _ROWS else None,
            start=_query(task, state) if after else None,
        )


@router.post("/review/next")
def take_next(
    request: Request, backend: BackendOf, person: Reader, task: Annotated[str, Form(max_length=80)] = ""
) -> Response:
    """Hand out the next case."""
    with speaking(wanted_language(request.headers, request)):
        return _next(request, backend, person, task, None)


@router.post("/review/draw")
def draw(
    request: Request,
    backend: BackendOf,
    person: Reader,
    task: Annotated[str, Form(max_length=80)],
    source: Annotated[Literal["all", "given"], Form()] = "all",
    uncertain: HowMany = 0,
    wide: HowMany = 0,
    unlike: HowMany = 0,
    audit: HowMany = 0,
    seed: Annotated[int, Form(ge=0, le=2**31)] = 0,
) -> Response:
    """Put further cases into the queue."""
    wanted = Draw(uncertain, wide, unlike, audit, seed)
    with speaking(wanted_language(request.headers, request)):
        try:
            if source == "all":
                added = draw_from_board(backend.serving, backend.database, task, person.actor, wanted)
            else:
                added = reading_queue.draw(backend.database, task, person.actor, wanted)
        except (InputError, NotFoundError) as error:
            return go_to("/review", str(error), "bad", request=request)
        if not added:
            return go_to(
                "/review", tr("No further case fits: all are in the queue."), "warn", request=request
            )
        return go_to("/review", tr("{n} cases were added.", n=len(added)), request=request)


@router.get("/review/cases/{number}")
def case_page(request: Request, backend: BackendOf, person: Reader, number: Number) -> Response:
    """Show a case to whoever has it, and what became of it once it is closed."""
    case = readings.held(backend.database, number, person.actor)
    if case is not None:
        backend.saw(person, case.subject_id, "case.seen", f"case {number}")
        with speaking(wanted_language(request.headers, request)):
            who, timeline = _patient(request, backend, person, case)
            who = replace(who, age=person.age_shown(who.age))
            return page(
                request,
                person,
                "review_case.html.j2",
                case=case,
                earlier=[(_answer_name(case.question, one.answer), one.comment) for one in case.earlier],
                who=who,
                timeline=timeline,
                fragment=f"{_address(number)}/timeline",
                choices=_numbered(case),
                known=moment(case.prediction_time),
                minutes=_minutes_left(case),
            )
    try:
        told = readings.outcome(backend.database, number)
    except InputError:
        return page(request, person, "review_take.html.j2", number=number)
    backend.saw(person, told.advice.subject_id, "case.result_seen", f"case {number}")
    with speaking(wanted_language(request.headers, request)):
        return page(
            request,
            person,
            "review_result.html.j2",
            told=told,
            reasons=advice_shown(person, told.advice).reasons,
            label=_answer_name(told.question, told.label),
            answers=[_answer_name(told.question, one.answer) for one in told.readings],
            model=_answer_of_model(told),
            why=[reading_queue.why_name(one) for one in told.why],
            known=moment(told.advice.prediction_time),
            moment=lambda text: moment(from_utc_text(text).replace(tzinfo=None)),
        )


@router.get("/review/cases/{number}/timeline")
def case_timeline(request: Request, backend: BackendOf, person: Reader, number: Number) -> Response:
    """Show another view of the record of a case."""
    case = readings.held(backend.database, number, person.actor)
    if case is None:
        raise InputError("case {id} was not handed to you", id=number)
    backend.saw(person, case.subject_id, "case.seen", f"case {number}")
    with speaking(wanted_language(request.headers, request)):
        _, timeline = _patient(request, backend, person, case)
        return page(
            request, person, "_timeline.html.j2", timeline=timeline, fragment=f"{_address(number)}/timeline"
        )


@router.post("/review/cases/{number}/take")
def take(request: Request, backend: BackendOf, person: Reader, number: Number) -> Response:
    """Hand out this case."""
    with speaking(wanted_language(request.headers, request)):
        try:
            readings.hand_out(backend.database, person.actor, item=number, adjudicates=_adjudicates(person))
        except InputError as error:
            return go_to("/review", str(error), "warn", request=request)
    return go_to(_address(number))


@router.post("/review/cases/{number}/answer")
def answer(
    request: Request,
    backend: BackendOf,
    person: Reader,
    number: Number,
    answer: Annotated[str, Form(max_length=20)] = "",
    comment: Annotated[str, Form(max_length=20_000)] = "",
    then: Annotated[Literal["queue", "next"], Form()] = "queue",
) -> Response:
    """Keep a reader's answer."""
    with speaking(wanted_language(request.headers, request)):
        try:
            case = readings.held(backend.database, number, person.actor)
            if case is None:
                raise InputError(
                    "case {id} is not yours to answer: take it again from the queue; nothing was kept",
                    id=number,
                )
            if not answer:
                return go_to(_address(number), tr("Choose an answer first."), "bad", request=request)
            state = readings.read(backend.database, number, _chosen(case, answer), person.actor, comment)
        except InputError as error:
            return go_to("/review", str(error), "bad", request=request)
        if case.stage == "adjudication":
            return go_to(_address(number), _kept(state), request=request)
        if then == "next":
            return _next(request, backend, person, case.question.task, _kept(state))
        return go_to("/review", _kept(state), request=request)


@router.post("/review/cases/{number}/skip")
def skip(request: Request, backend: BackendOf, person: Reader, number: Number) -> Response:
    """Give a case back unread."""
    with speaking(wanted_language(request.headers, request)):
        try:
            readings.skip(backend.database, number, person.actor)
        except MedloomError as error:
            return go_to("/review", str(error), "warn", request=request)
        return go_to("/review", tr("Case {n} was given back.", n=number), request=request)


def task_name(backend: Backend, task: str) -> str:
    """Name a question in the current language: by its title where its model is released."""
    for served in backend.serving.served:
        if served.name.task == task:
            title = served.model.origin.question.title
            return here(Text2(title.en, title.zh))
    return task


def state_names() -> dict[State, Text2]:
    """Name the states of a case."""
    return {
        "open": text2("waiting for the first reader"),
        "second": text2("waiting for the second reader"),
        "adjudicate": text2("readers differ"),
        "agreed": text2("readers agree"),
        "decided": text2("decided by a third"),
    }


def _next(request: Request, backend: Backend, person: Person, task: str, kept: str | None) -> Response:
    """Hand out the next case, and say what became of the last one."""
    case = readings.hand_out(
        backend.database, person.actor, task=task or None, adjudicates=_adjudicates(person)
    )
    if case is not None:
        return go_to(_address(case.id), kept, request=request)
    nothing = tr("No case waits for you now.")
    return go_to(
        "/review", f"{kept} {nothing}" if kept else nothing, "good" if kept else "warn", request=request
    )


def _patient(request: Request, backend: Backend, person: Person, case: Case) -> tuple[Identity, Timeline]:
    """Read a patient as known at the case's moment."""
    chart = Chart.of(backend.site.record, person, case.subject_id, case.prediction_time)
    who = identity_of(case.subject_id, chart.rows, case.prediction_time)
    return who, timeline_of(
        chart.rows,
        case.prediction_time,
        asked(request.query_params),
        descriptions=chart.descriptions,
        units=chart.units,
        adult=who.is_adult,
        address=_address(case.id),
    )


def _numbered(case: Case) -> list[tuple[str, Text2]]:
    """List the answers as the form sends them; the last: it cannot be told."""
    named = [(str(place), one.name) for place, one in enumerate(choices(case.question))]
    return [*named, (_UNTOLD, text2("cannot be told"))]


def _chosen(case: Case, sent: str) -> Value | None:
    if sent == _UNTOLD:
        return None
    possible = choices(case.question)
    if not sent.isdecimal() or int(sent) >= len(possible):
        raise InputError("choose one of the answers of the page")
    return possible[int(sent)].value


def _kept(state: State) -> str:
    return {
        "second": tr("Kept. Another reader sees the case next."),
        "agreed": tr("Kept. Both readers agree."),
        "adjudicate": tr("Kept. The readers differ: a third decides."),
        "decided": tr("Kept. The case is decided."),
    }[state]


def _answer_name(question: Question, answer: Value | None) -> Text2:
    return text2("cannot be told") if answer is None else name_of(question, answer)


def _answer_of_model(told: Outcome) -> Text2 | None:
    """Name the model's answer where it is one of the choices; None: it is a risk."""
    return None if told.question.kind == "binary" else name_of(told.question, told.advice.output)


def _minutes_left(case: Case) -> int:
    left = from_utc_text(case.until) - datetime.now(UTC)
    return max(int(left.total_seconds() // 60), 0)


def _drawable(backend: Backend) -> list[str]:
    return [one.name.task for one in backend.serving.served if one.model.origin.question.kind in CATEGORICAL]


def _adjudicates(person: Person) -> bool:
    return Permission.ADJUDICATE in person.permissions


def _address(number: int) -> str:
    return f"/review/cases/{number}"


def _query(task: str, state: str, after: int = 0) -> str:
    asked_for = {"task": task, "state": state, "after": after}
    return "/review?" + urlencode({name: value for name, value in asked_for.items() if value})
