"""Floor 6: learners, one room a modality; each turns samples into a model. A modality never imports another."""
