"""The registry of models of a deployment, from its settings."""

from service.config.settings import Settings
from service.domain.models import registry
from service.domain.models.registry import ModelsError, Registry


def registry_of(settings: Settings) -> Registry:
    """Return the models that the settings name. Raises ModelsError."""
    return registry.build(
        default=settings.fal_model,
        enabled=settings.models,
        file=_file(settings),
        rates={str(name): rate for name, rate in settings.rates.items()}
        if "rates" in settings.model_fields_set
        else None,
    )


def _file(settings: Settings) -> tuple[str, str] | None:
    """Return the text of the operator's file, and its name."""
    path = settings.models_file
    if path is None:
        return None
    try:
        return path.read_text("utf-8"), path.name
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ModelsError("models_file", f"{path} cannot be read: {reason}") from None
