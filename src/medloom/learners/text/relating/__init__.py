"""Relations between what notes name."""
