"""Translation of transcripts by a chat model.

translator = ChatTranslator(runtime, to="French")
for event in translate_events(events, translator): ...

To English alone, Whisper can do it without a second model: RecognitionOptions.translate.
"""

from __future__ import annotations

from .events import translate_events, translate_stream
from .prompts import Translated
from .translator import ChatTranslator, Translator

__all__ = ["ChatTranslator", "Translated", "Translator", "translate_events", "translate_stream"]
