"""Translation through real models. They are too small to translate well: what is tested is all around it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.errors import ContextFull
from edge_runtime.runtime.runtime import Runtime
from edge_runtime.speech.recognition.transcript import EventKind, TranscriptEvent
from edge_runtime.speech.translation import ChatTranslator, Translated, translate_events
from edge_runtime.values.records import ContextPolicy

SAID = ["Good morning.", "The train leaves at nine.", "Where is the station?"]


@pytest.fixture(params=["smollm2", "gemma"])
def runtime(request: pytest.FixtureRequest, smollm2_path: Path, gemma_path: Path) -> Runtime:
    """An instructed model and a base model."""
    path = smollm2_path if request.param == "smollm2" else gemma_path
    opened = Runtime.open(path, context_tokens=256)
    request.addfinalizer(opened.close)
    return opened


def test_utterances_come_out_in_order_with_their_times(runtime: Runtime) -> None:
    events = [
        TranscriptEvent(
            EventKind.FINAL, n, n + 0.9, text, "en", utterance=n, ends_utterance=True, commit_latency_s=1.0
        )
        for n, text in enumerate(SAID)
    ]
    events.append(TranscriptEvent(EventKind.END, 0.0, 3.0))
    found = list(translate_events(events, ChatTranslator(runtime, to="French")))
    assert [event.kind.value for event in found] == ["final"] * 3 + ["end"]
    for event, said in zip(found, events, strict=True):
        assert (event.start_s, event.end_s, event.utterance) == (said.start_s, said.end_s, said.utterance)
    for event in found[:-1]:
        assert event.text and "\n" not in event.text
        assert (event.commit_latency_s or 0) > 1.0


def test_the_same_text_is_translated_the_same_way(runtime: Runtime) -> None:
    translator = ChatTranslator(runtime, to="fr", from_language="en")
    context = [Translated("Hello.", "Bonjour.")]
    assert translator.translate(SAID[1], context) == translator.translate(SAID[1], context)


def test_a_long_text_fits_a_small_context(runtime: Runtime) -> None:
    translator = ChatTranslator(runtime, to="fr", from_language="en")
    with pytest.raises(ContextFull):
        runtime.generate(" ".join(SAID * 20), raw=True, context_policy=ContextPolicy.STOP)
    drafts = translator.drafts(" ".join(SAID * 20))
    assert [next(drafts) for _ in range(3)]  # all of it would take a minute
