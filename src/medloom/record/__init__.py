"""Floor 2: the patient record on disk and in memory, and what brings data into it."""
