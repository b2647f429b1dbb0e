"""OpenAI's API of videos below ``/openai/v1``."""
