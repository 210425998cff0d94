"""OpenAI's API: models and chat completions, as an unmodified ``openai`` client speaks it."""
