"""Translation of one utterance after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from ...values.records import GenerationKeywords
from ..recognition.languages import language_name, parse_language
from .prompts import Task, Translated, as_data, base_prompt, chat_messages
from .tidy import only_translation

if TYPE_CHECKING:
    from ...runtime.runtime import Runtime
    from ...runtime.stream import TextStream

# Other scripts take up to four times the tokens in a vocabulary that was made for English.
_ANSWER_PER_TOKEN, _LEAST_ANSWER_TOKENS = 4, 24
_CONTEXT_SHARE = 0.5  # of the room, for earlier utterances: the rest is for this one and its translation
_SENTENCE_ENDS = ".?!…。？！"
_WITHOUT_SPACES = frozenset(("ja", "zh", "yue", "th", "lo", "my", "km", "bo"))


class Translator(Protocol):
    to: str  # the code of the language that it translates into

    def drafts(self, text: str, context: Sequence[Translated] = (), *, language: str = "") -> Iterator[str]:
        """The translation as far as it is written, again and again; the last one is whole."""


class ChatTranslator:
    """Any pair of languages that the runtime's model knows. The likeliest words, never drawn by chance."""

    def __init__(self, runtime: Runtime, to: str, from_language: str | None = None) -> None:
        """Languages by name or code. from_language: None where each utterance has its own.

        Raises OptionInvalid for a language that is not known.
        """
        self.to = parse_language(to, "to")
        self._from = None if from_language is None else parse_language(from_language)
        self._runtime = runtime

    def translate(self, text: str, context: Sequence[Translated] = (), *, language: str = "") -> str:
        """The whole translation, on one line; "" for a text without words.

        context: what was said before, oldest first; what does not fit is left out. language: the
        code of this text's, where it was not given for all. A text that does not fit the model's
        context is translated in pieces. Raises what Runtime.chat raises.
        """
        translation = ""
        for draft in self.drafts(text, context, language=language):
            translation = draft
        return translation

    def drafts(self, text: str, context: Sequence[Translated] = (), *, language: str = "") -> Iterator[str]:
        """See Translator. Dropping the iterator stops the model."""
        task = Task(self.to, self._from or language)
        known = [Translated(as_data(pair.said), as_data(pair.translation)) for pair in context]
        done = ""
        for piece in self._pieces(task, as_data(text)):
            draft = ""
            for draft in self._drafts(task, piece, known):
                yield self._joined(done, draft)
            known.append(Translated(piece, draft))
            done = self._joined(done, draft)

    def _drafts(self, task: Task, said: str, context: Sequence[Translated]) -> Iterator[str]:
        written = ""
        with self._start(task, said, self._fitting(task, said, context)) as stream:
            for piece in stream:
                written += piece.text
                yield only_translation(written, said, language_name(self.to))

    def _start(self, task: Task, said: str, context: Sequence[Translated]) -> TextStream:
        options = GenerationKeywords(temperature=0.0, max_tokens=self._answer_tokens(said))
        if self._runtime.has_chat_template:
            return self._runtime.chat(chat_messages(task, said, context), stream=True, **options)
        options["stop"] = "\n"
        return self._runtime.generate(base_prompt(task, said, context), raw=True, stream=True, **options)

    # --- what fits -------------------------------------------------------------------------

    def _pieces(self, task: Task, said: str) -> list[str]:
        """The text, in halves of halves until each fits."""
        if not said:
            return []
        needed = self._prompt_tokens(task, said, ()) + self._answer_tokens(said)
        if needed <= self._runtime.context_tokens or len(said) < 2:  # then the runtime says what is wrong
            return [said]
        middle = _cut(said)
        return self._pieces(task, said[:middle].strip()) + self._pieces(task, said[middle:].strip())

    def _fitting(self, task: Task, said: str, context: Sequence[Translated]) -> Sequence[Translated]:
        """The latest, fewer by halves, so that the next prompts begin like this one."""
        room = self._runtime.context_tokens - self._answer_tokens(said)
        room = min(room, int(_CONTEXT_SHARE * room) + self._prompt_tokens(task, said, ()))
        while context and self._prompt_tokens(task, said, context) > room:
            context = context[(len(context) + 1) // 2 :]
        return context

    def _answer_tokens(self, said: str) -> int:
        return _ANSWER_PER_TOKEN * self._runtime.count_tokens(said) + _LEAST_ANSWER_TOKENS

    def _prompt_tokens(self, task: Task, said: str, context: Sequence[Translated]) -> int:
        if self._runtime.has_chat_template:
            return self._runtime.count_prompt_tokens(chat_messages(task, said, context))
        return self._runtime.count_tokens(base_prompt(task, said, context))

    def _joined(self, first: str, second: str) -> str:
        between = " " if first and second and self.to not in _WITHOUT_SPACES else ""
        return first + between + second


def _cut(text: str) -> int:
    """After the sentence, else before the space, else at the character, that is nearest the middle."""
    middle = len(text) // 2
    spaces = [place for place, character in enumerate(text) if character == " " and place]
    ends = [place for place in spaces if text[place - 1] in _SENTENCE_ENDS]
    return min(ends or spaces or [middle], key=lambda place: abs(place - middle))
