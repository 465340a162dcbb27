"""Learners of timelines: networks that read each fact with its value and its time."""
