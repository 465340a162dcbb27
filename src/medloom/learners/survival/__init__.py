"""Learners of prognosis: window features in, for each sample curves of what will have happened by when out."""
