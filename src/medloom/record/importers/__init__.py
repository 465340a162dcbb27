"""One file or folder a source format; each turns it into bounded batches of facts."""
