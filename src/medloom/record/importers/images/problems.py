"""What can be wrong with a file of an image, and what a reader should know of an import, in words.

English templates; their translations are in `foundation/locales/zh/images.json`.
"""

from __future__ import annotations

from typing import Final

# Problems: the fact goes to quarantine.
DAMAGED: Final = "an image is damaged or cut short; export it again"
ABSENT: Final = "the table names a file that is not there"
NO_DATE: Final = "a time cannot be read; write it as 2020-01-31 or 2020-01-31 08:00"
UNLIKE: Final = "an outline has another shape than its image"
# Records passed over: they hold no fact.
NO_IMAGE: Final = "file that is no image of this kind"
# Notes: counted, nothing is lost.
UNDATED: Final = "image without a date, placed on 2000-01-01; name it with date= or in a table"
ALONE: Final = "image taken for a patient of its own; name patients with patient= or in a table"
BLANK: Final = "image of one colour throughout"
COLOURED: Final = "image in colour"
