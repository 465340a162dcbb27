"""Notes as a service: drafts, and what a language model, where the site names one, may say of a text."""
