"""Facts that notes tell: found by words and rules, or by whatever else names places in a text."""
