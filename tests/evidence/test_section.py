"""A kept section is shown as it was written, and nothing that was put into it runs in a reader's browser."""

from dataclasses import replace

import pytest

from medloom.evidence.section import Figure, Section
from medloom.foundation.charts import Axis, Line, line_chart
from medloom.foundation.errors import IntegrityError
from medloom.foundation.messages import Text2

NAME = Text2("a < b & c", "甲")
LINE = Line(NAME, (0.0, 1.0), (0.0, 1.0), (0.0, 0.5), (0.5, 1.0))
DRAWN = line_chart(NAME, NAME, [LINE], Axis(NAME), Axis(NAME))
KEPT = Section("s", NAME, figures=(Figure(NAME, DRAWN, NAME),))


def test_a_drawing_comes_back_as_it_was_kept() -> None:
    assert Section.from_json(KEPT.to_json()) == KEPT


@pytest.mark.parametrize(
    "svg",
    [
        "<svg><script>alert(1)</script></svg>",
        '<svg><a href="javascript:alert(1)"><text>x</text></a></svg>',
        '<svg/onload="alert(1)"></svg>',
        '<svg class="x"onload="alert(1)"></svg>',
        "<svg><style>@import '//elsewhere'</style></svg>",
        '<svg></svg><meta http-equiv="refresh" content="0;url=//elsewhere"/>',
        '<svg><animate attributeName="x" onbegin="alert(1)"/></svg>',
        "<svg><title><![CDATA[><img src=x onerror=alert(1)>]]></title></svg>",
        '<svg><image xmlns:x="http://www.w3.org/1999/xlink" x:href="//elsewhere"/></svg>',
    ],
)
def test_a_drawing_that_could_run_or_fetch_something_is_refused(svg: str) -> None:
    altered = replace(KEPT, figures=(Figure(NAME, svg, NAME),))
    with pytest.raises(IntegrityError, match="more than shapes and words"):
        Section.from_json(altered.to_json())
