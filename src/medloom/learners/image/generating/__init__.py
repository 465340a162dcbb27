"""Images that were never taken: a network that draws them by class, learned against one that judges."""
