"""Deployments of local custom models on a vLLM server, or on a fleet of them."""

from sqlora.backends.vllm.backend import VllmBackend

__all__ = ["VllmBackend"]
