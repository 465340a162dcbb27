"""Errors that say what was expected, what came, and what mends it."""

from __future__ import annotations

from medloom.foundation.messages import tr


class MedloomError(Exception):
    """Base of every error Medloom raises on purpose.

    The first argument is an English template, the keywords its values; the
    template is also the key of its translation (see `foundation.messages`).

    >>> str(InputError("horizon {value!r} has no unit; write 48h or 2d", value="48"))
    "horizon '48' has no unit; write 48h or 2d"
    """

    def __init__(self, template: str, /, **values: object) -> None:
        super().__init__(template)
        self.template = template
        self.values = values

    def __str__(self) -> str:
        return tr(self.template, **self.values)


class InputError(MedloomError):
    """What the user handed in cannot be used as it is."""


class NotFoundError(MedloomError):
    """A file, model, task or subject that was named does not exist."""


class MissingExtraError(MedloomError):
    """An optional dependency is needed and not installed."""


class IntegrityError(MedloomError):
    """Stored content does not match its digest, or was written by a newer version."""


class LockedError(MedloomError):
    """Another process is writing to the same site."""


class KeyUnavailableError(MedloomError):
    """The site's key cannot be found, or does not open the vault."""


class LeakageError(MedloomError):
    """The request would let a model see what was not yet known."""


class StorageError(MedloomError):
    """The disk refused: full, read-only, or no permission."""


class WorkerError(MedloomError):
    """A process that shared the work was stopped from outside."""
