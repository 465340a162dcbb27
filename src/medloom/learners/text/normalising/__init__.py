"""Normalisation: which code of a code system is meant by words of a note."""
