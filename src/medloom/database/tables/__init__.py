"""The tables of `site.db`, one file an area; importing this package makes all of them known."""

from medloom.database.tables import accounts, audit, cds, noting, reviewing, serving, work

__all__ = ["accounts", "audit", "cds", "noting", "reviewing", "serving", "work"]
