"""Generations in Redis: created once, changed by compare-and-set, read by id, tenant or end user, purged."""

from service.domain.generation_filter import Filter
from service.store.generations.create import GenerationCreator
from service.store.generations.read import GenerationReader
from service.store.generations.write import GenerationWriter, Moved

__all__ = ["Filter", "GenerationStore", "Moved"]


class GenerationStore(GenerationCreator, GenerationReader, GenerationWriter):
    """All operations on generations."""
