"""Notes as a service: facts in the record, drafts, and what a language model, where the site names one, may say."""
