"""Who asks: SigV4 signatures and bearer tokens, checked against the project's keys."""
