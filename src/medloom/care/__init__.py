"""Clinical services: each joins released models, and what is known, into advice."""
