"""Learners of tables: window features in, one answer or several a sample out."""
