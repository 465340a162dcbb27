"""Floor 0: what every room stands on, and nothing about patients or models."""
