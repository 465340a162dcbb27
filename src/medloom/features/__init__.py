"""Floor 4: histories become arrays. A specification is learned on training samples and travels with the model."""
