"""Identities kept out of text: what names a person in a note, in English and Chinese."""
