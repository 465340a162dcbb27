"""Floor 3: the question put to a record, its samples, and the types every model speaks."""
