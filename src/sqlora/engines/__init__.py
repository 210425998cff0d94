"""Engines turn tokens into tokens."""
