"""Learners of images: what they show, where it is, and how sure that is."""
