"""Clinical text: what notes say, and of whom."""
