"""Conversations between doctor and patient, and the notes drafted from them."""
