"""Training: dataset + base model → adapter."""
