"""Explaining answers: reasons in words, and pages that show them to people."""
