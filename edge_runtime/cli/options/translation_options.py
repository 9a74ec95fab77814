"""The options of translation: the language, and the model that translates into it."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import OptionInvalid
from ...speech.recognition.languages import language_name, parse_language
from ..screen.terminal import Screen
from .model_options import add_model_options, open_shown
from .speech_options import SpeechChoices

if TYPE_CHECKING:
    from ...speech.listening import SpeechStream
    from ...speech.translation import ChatTranslator


_TRANSLATOR_HELP = (
    "chat model that translates: a name in the catalog, or a GGUF file "
    "(default: none; the recognizer translates, to English alone)"
)


def add_translation_options(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """--to, --translator, and the options of that chat model."""
    parser.add_argument(
        "--to", required=required, metavar="LANGUAGE", help="language to translate to, such as English or fr"
    )
    add_model_options(parser, _TRANSLATOR_HELP, name="translator")


@dataclass(frozen=True)
class Translation:
    to: str | None  # a language's code; None: nothing is translated
    translator: str | None  # the chat model that does it; None: the recognizer itself, to English

    @classmethod
    def of(cls, args: argparse.Namespace) -> Translation:
        """Raises OptionInvalid for an unknown language, and for one that needs a chat model, without one."""
        if args.to is None:
            return cls(None, None)
        to = parse_language(args.to, "to")
        if to != "en" and args.translator is None:
            raise OptionInvalid(
                f"--to {language_name(to)}: a chat model has to translate, and none is named; the recognizer "
                "itself can do English alone",
                hint="--translator gemma-3n-e2b-it, for example",
                option="translator",
            )
        return cls(to, args.translator)

    @property
    def is_gist(self) -> bool:
        """Whisper's own: words to go by, not to quote."""
        return self.to is not None and self.translator is None

    def open(
        self, args: argparse.Namespace, choices: SpeechChoices, stack: ExitStack, screen: Screen
    ) -> Translate:
        """Load the chat model, within a budget that holds both."""
        if self.is_gist:
            screen.faint("translated by the recognizer itself: a gist, not to be relied on")
        if self.to is None or self.translator is None:
            return Translate(None)
        from ...speech.memory import plan_speech
        from ...speech.translation import ChatTranslator

        runtime = stack.enter_context(open_shown(args, self.translator, screen, plan_speech(choices.model)))
        return Translate(ChatTranslator(runtime, self.to, choices.language))


class Translate:
    """Translates a stream of events; without a translator, leaves it as it is."""

    def __init__(self, translator: ChatTranslator | None) -> None:
        self._translator = translator

    def __call__(self, stream: SpeechStream, *, partials: bool) -> SpeechStream:
        """partials: a translation is shown while it is written."""
        if self._translator is None:
            return stream
        from ...speech.translation import translate_stream

        return translate_stream(stream, self._translator, partials=partials)
