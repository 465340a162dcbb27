"""What can be wrong with a row, and what a reader should know of an import, in words.

English templates; their translations are in `foundation/locales/zh/table.json`,
and whoever shows an import's report translates them.
"""

from __future__ import annotations

from typing import Final

# Problems: the fact goes to quarantine.
NO_SUBJECT: Final = "no patient: the row names no subject"
NO_CODE: Final = "no code"
NO_TIME: Final = "no time"
UNREADABLE: Final = "a time cannot be read; name its format in the mapping"
AMBIGUOUS: Final = "a date is ambiguous (which is the month?); name its format in the mapping"
OUTSIDE: Final = "a time lies outside the years 1850 to 2300"
NO_BASE: Final = "an offset without the moment it counts from"
KNOWN_UNREADABLE: Final = "the time when it was known cannot be read"
WRONG_LENGTH: Final = "the row has more or fewer cells than the header"
# Records passed over: they hold no fact.
NO_VALUE: Final = "row without a value"
IGNORED: Final = "row that the mapping ignores"
UNMET: Final = "row that does not meet the mapping's conditions"

# Notes: counted, nothing is lost.
EMPTY_FILE: Final = "empty file"
DOUBTFUL: Final = "value kept as text: its decimal or thousands mark is not the mapping's"
REPEATED: Final = "static fact repeated, kept once"
UNMAPPED: Final = "value that the mapping's list of values lacks, kept as it is"
UNJOINED: Final = "row without a counterpart in a joined file"
TOLD_OTHERWISE: Final = "another time for what happens once; that of the first row was kept"
KEY_REPEATED: Final = "row with the key of an earlier one, which it replaces"
