"""The quality of a record by Kahn's harmonised framework: conformance, completeness, plausibility."""

from medloom.record.quality.assessment import assess
from medloom.record.quality.report import QualityReport

__all__ = ["QualityReport", "assess"]
