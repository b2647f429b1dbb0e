"""The video calls of the AI SDK's gateway provider: ``createGateway({baseURL: "<gateway>/vercel", apiKey})``."""

from typing import Final

PREFIX: Final = "/vercel"
MODEL_HEADER: Final = "ai-model-id"
