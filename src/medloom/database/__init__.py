"""`site.db`: what people and models did: accounts, audit, advice, reviews, releases, background work."""
