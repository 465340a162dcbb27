"""Notes: files read to plain text, their language, sections and sentences; no models."""
