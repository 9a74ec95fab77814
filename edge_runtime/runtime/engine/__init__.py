"""The engine: one model, one worker thread, several conversations at once."""

from .engine import Engine
from .request import Failed, Finished, GenerationRequest, Ticket

__all__ = ["Engine", "Failed", "Finished", "GenerationRequest", "Ticket"]
