"""Words that are no part of a name: function words, what notes say, labels; and first names that are common."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

_FUNCTION: Final = (
    "a an the and or but nor so if then than that this these those there here he she it they we you i his "
    "her its their our my your him them us me who whom whose which what when where why how is are was "
    "were be been being am has have had having do does did done will would shall should can could may "
    "might must of in on at to from by for with without within into onto over under above below between "
    "among through during before after since until till about against as not no yes also only very too "
    "again once both each all any some most more other such own same just now today yesterday tomorrow "
    "tonight daily per via re cc bcc out off up down back because while although though however therefore "
    "further still yet well please thank thanks sincerely regards dear one two three four five six seven "
    "eight nine ten first second third next last early late morning afternoon evening night day days week "
    "weeks month months year years old hour hours minute minutes"
)
_SAID: Final = (
    "says said states stated reports reported denies denied presents presented admitted discharged seen "
    "came comes went brought called calls asked asks told tells agrees agreed notes noted thinks felt "
    "feels lives lived works worked takes taking took given gave got gets started stopped continue "
    "continued increase decreased improved recommends recommended advised discussed reviewed examined "
    "performed placed removed found showed shows revealed remains remained tolerated underwent received "
    "requires required needs needed wants wanted knows known informed notified aware arrived left moved "
    "visited returned rounded rounds saw see sees signed dictated transcribed follow followed following "
    "evaluated evaluate understands verbalized reached reach ran drove died deceased diagnosed treated "
    "ordered consulted spoke spoken speaks accompanied referred thinks believes helps helped uses used "
    "plans planned decided decides wishes wished requests requested inserted confirmed contacted updated "
    "scheduled cancelled was"
)
_CLINICAL: Final = (
    "patient patients pt pts male female man woman boy girl infant child baby gentleman lady mr mrs ms "
    "miss dr md rn np pa do lpn phd mba mph dds facp history physical exam examination assessment plan "
    "diagnosis impression findings comparison technique procedure medications medication meds med "
    "allergies allergy chief complaint hpi pmh ros vitals labs lab laboratory imaging ct mri xray ekg ecg "
    "echo bp hr rr temp temperature spo2 pulse weight height bmi mrn dob ssn sex age race gender admit "
    "admission discharge date time room unit bed ward floor service department clinic hospital center "
    "centre office emergency er ed icu or pacu number phone fax cell home work email address street "
    "account insurance policy member group plan id name signed electronically dictated attending resident "
    "physician physicians doctor doctors nurse nurses provider providers surgeon assistant consultant pcp "
    "specialist therapist team staff worker social case manager caregiver family wife husband spouse son "
    "daughter mother father brother sister parents parent children kids aunt uncle cousin niece nephew "
    "friend partner neighbor grandson granddaughter pain fever cough chest breath shortness nausea "
    "vomiting diarrhea dizziness headache fall weakness heart lung liver kidney renal cardiac pulmonary "
    "chronic acute severe mild moderate left right upper lower bilateral normal negative positive stable "
    "alert oriented disease syndrome failure infection pneumonia diabetes hypertension asthma copd chf "
    "cancer carcinoma stroke anemia mg mcg ml g kg cm mm l u iu units unit tablet tablets tab tabs "
    "capsule dose po iv im sq sc bid tid qid qd qhs prn hs test tests result results sodium potassium "
    "glucose creatinine blood urine culture report note summary letter form sheet record records chart "
    "copy page section status code none unknown n/a pending telephone encounter dear surgical medical "
    "clinical nursing general primary care pager beeper contact relationship religion married single "
    "widowed divorced marital language english spanish employer occupation retired diagnosis disposition "
    "course condition received collected ordering referring submitting requesting performing md's rx dx "
    "hx tx fx sx c/o s/p w/o npi dea license licence serial lot monday tuesday wednesday thursday friday "
    "saturday sunday january february march april june july august september october november december "
    "jan feb mar apr jun jul aug sep sept oct nov dec diet activity instructions follow-up followup "
    "appointment visit visits appropriate available hand side reason informant source reliable self "
    "unremarkable noncontributory tolerating resting sleeping"
)
ORDINARY: Final = frozenset(f"{_FUNCTION} {_SAID} {_CLINICAL}".split())

GIVEN: Final = frozenset(
    "james robert john michael david william richard joseph thomas christopher charles daniel "
    "matthew anthony donald steven andrew paul joshua kenneth kevin brian timothy ronald george "
    "jason edward jeffrey ryan jacob gary nicholas eric jonathan stephen larry justin scott "
    "brandon benjamin samuel gregory alexander patrick frank raymond jack dennis jerry tyler "
    "aaron jose adam nathan henry zachary douglas peter kyle noah ethan jeremy christian walter "
    "keith austin roger terry sean gerald carl dylan harold jordan jesse bryan lawrence arthur "
    "gabriel bruce logan billy joe alan juan elijah willie albert wayne randy mason vincent liam "
    "roy bobby caleb bradley russell lucas mary patricia jennifer linda elizabeth barbara susan "
    "jessica karen sarah lisa nancy sandra betty ashley emily kimberly margaret donna michelle "
    "carol amanda melissa deborah stephanie rebecca sharon laura cynthia dorothy amy kathleen "
    "angela shirley emma brenda pamela nicole anna samantha katherine christine debra rachel "
    "carolyn janet maria olivia heather helen catherine diane julie victoria joyce lauren kelly "
    "christina ruth joan virginia judith evelyn hannah andrea megan cheryl jacqueline madison "
    "teresa abigail sophia martha sara gloria janice kathryn ann isabella judy charlotte julia "
    "grace amber alice jean denise frances danielle marilyn natalie beverly diana brittany "
    "theresa kayla alexis doris lori tiffany edith florence gladys irene josephine lillian lucy "
    "mabel marie marjorie mildred phyllis rose ahmed ali ana antonio carlos chen elena fatima "
    "francisco hassan ibrahim ivan jorge jorge lin luis manuel mei miguel mohamed mohammed "
    "muhammad omar pedro priya rafael raj ravi rosa sofia wei yuki alejandro carmen guadalupe "
    "hector hugo ingrid jamal javier kofi lakshmi leila lars mateo natasha nina olga pablo raul "
    "sanjay sergei svetlana tariq vladimir yusuf walter edna ethel ella eleanor elsie stanley "
    "leonard frederick ralph eugene clarence howard ernest tom tim jim bob bill mike dave steve "
    "dan matt tony ken jeff nick greg alex sam ben pat kate beth sue deb liz meg peggy becky jen "
    "kim kathy cathy cindy wendy tracy stacy holly robin dawn tammy tina gina paula rita sally "
    "sylvia norma vera wanda yvonne anita audrey bernice clara claire connie crystal darlene "
    "eileen elaine erin erica gail geraldine glenda gwen hazel ida jane jill joann juanita june "
    "kristen lena leslie lois loretta louise lynn marcia marion maureen melanie monica nora "
    "pauline peggy renee roberta rosemary sheila stella suzanne thelma valerie vanessa veronica "
    "vivian".split()
)
_RUN: Final = re.compile(r"[a-z]+")

Spots = Mapping[str, Sequence[int]]


def spots(low: str) -> Spots:
    """Tell of each run of letters where it stands; rules look there only for the words that they begin with.

    >>> spots("dr. lee, dr. ann")["dr"]
    [0, 9]
    """
    found: dict[str, list[int]] = {}
    for match in _RUN.finditer(low):
        found.setdefault(match.group(), []).append(match.start())
    return found


def matches(
    pattern: re.Pattern[str], words: Iterable[str], low: str, where: Spots
) -> Iterator[re.Match[str]]:
    """Match a pattern where one of the words stands that it begins with."""
    for word in words:
        for start in where.get(word, ()):
            match = pattern.match(low, start)
            if match is not None:
                yield match
