"""Floor 7: how good a model is, for whom, and compared with what. Measures, never models."""
