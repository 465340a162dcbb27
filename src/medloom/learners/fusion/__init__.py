"""Learners of several modalities at once; other rooms are reached by registered names alone."""
