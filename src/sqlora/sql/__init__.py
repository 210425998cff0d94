"""The SQL domain: dialects, schemas, checking, running and comparing. Knows nothing of models."""
