"""Making networks small and fast enough to serve: as a graph, in 8 bits, pruned, or learned from by a smaller model."""
