"""CDS Hooks 2.0 (https://cds-hooks.hl7.org/2.0/): advice as cards in the hospital's own record system."""

from medloom.server.cds.routes import router
from medloom.server.errors import problem, speaks

__all__ = ["router"]

speaks("/cds-services", problem)
