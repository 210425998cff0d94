"""sqlora: teach a small language model your SQL dialect and schema, and serve it on demand."""

from __future__ import annotations

__version__ = "0.1.0"
