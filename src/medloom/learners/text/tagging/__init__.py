"""Tagging: places in notes, named."""
