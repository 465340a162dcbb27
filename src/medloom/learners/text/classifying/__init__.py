"""Answers about whole notes: classes and values."""
