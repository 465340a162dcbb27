"""The model card: what is known of a model, asked by four checklists, and what a person must answer."""
