"""Outlines of structures in images: learned from those that experts drew, with a map of where they are not sure."""
