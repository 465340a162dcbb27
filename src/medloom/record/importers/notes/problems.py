"""What can be wrong with a file of a note, and what a reader should know of an import, in words.

English templates; their translations are in `foundation/locales/zh/text-notes.json`. What is wrong with a file itself
says `record.notes.reading`.
"""

from __future__ import annotations

from typing import Final

# Problems: the fact goes to quarantine.
ABSENT: Final = "the table names a file that is not there"
UNDATED: Final = "the note has no date; name it with date= or in a table"
NO_DATE: Final = "a time cannot be read; write it as 2020-01-31 or 2020-01-31 08:00"
# Notes: counted, nothing is lost.
ALONE: Final = "note taken for a patient of its own; name patients with patient= or in a table"
MIXED: Final = "note written in several encodings, read line by line"
FOREIGN: Final = "note in a language other than English and Chinese; nothing is taken from it"
