"""Floor 5: what learners share, whatever the modality: inputs made fit, arrays, curves of survival."""
