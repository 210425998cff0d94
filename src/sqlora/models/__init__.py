"""Base models (found, fetched, converted, cached) and the adapters trained on them."""
