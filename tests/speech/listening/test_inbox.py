"""The inbox of live sound: thread, backlog, stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from support.scripted_speech import ScriptedRecognizer, SoundSource, Timer, sentence, sound
from support.speech_parts import LoudSpeech

from edge_runtime.errors import AudioDeviceUnavailable
from edge_runtime.speech.audio import AudioBlock
from edge_runtime.speech.listening import ListenOptions, SimulatedClock, listen
from edge_runtime.speech.listening.clock import ArrivalClock
from edge_runtime.speech.listening.inbox import LiveInbox
from edge_runtime.speech.recognition.transcript import EventKind, TranscriptEvent

LONGEST_WAIT_S = 20.0  # a test that hangs should fail
FOX = "the quick brown fox jumps over the lazy dog"


def block(number: int) -> AudioBlock:
    return AudioBlock(np.zeros(1_600, np.float32), number * 1_600)


class Idle:
    """A source that gives some blocks and then waits, as a pipe does that nobody writes to."""

    duration_s = None

    def __init__(self, blocks: int = 0) -> None:
        self.blocks, self.go_on = blocks, threading.Event()

    def __iter__(self) -> Iterator[AudioBlock]:
        yield from (block(n) for n in range(self.blocks))
        self.go_on.wait(LONGEST_WAIT_S)


class Recorder(Idle):
    """A source that can be stopped, and then gives what it still holds."""

    def stop(self) -> None:
        self.go_on.set()

    def __iter__(self) -> Iterator[AudioBlock]:
        yield from super().__iter__()
        yield block(self.blocks)


def drain(inbox: LiveInbox) -> list[int]:
    return [taken.start_sample // 1_600 for taken in iter(inbox.take, None)]


def test_blocks_come_in_order_and_then_the_end() -> None:
    source = Idle(5)
    source.go_on.set()
    assert drain(LiveInbox(source, 10.0)) == [0, 1, 2, 3, 4]


def test_a_source_waits_when_the_backlog_is_full_and_nothing_is_lost() -> None:
    source = SoundSource(np.zeros(16_000 * 60, np.float32))
    inbox = LiveInbox(source, 2.0)
    deadline_s = time.monotonic() + LONGEST_WAIT_S
    while source.taken_s < 2.0 and time.monotonic() < deadline_s:
        time.sleep(0.01)
    time.sleep(0.1)
    assert source.taken_s <= 2.3
    assert len(drain(inbox)) == 600


def test_stop_ends_a_wait_for_sound_that_never_comes() -> None:
    inbox = LiveInbox(Idle(2), 10.0)
    threading.Timer(0.1, inbox.stop).start()
    assert drain(inbox) == [0, 1]


def test_stop_asks_the_source_to_stop_and_takes_what_it_still_holds() -> None:
    inbox = LiveInbox(Recorder(2), 10.0)
    threading.Timer(0.1, inbox.stop).start()
    assert drain(inbox) == [0, 1, 2]


def test_close_ends_the_thread_even_when_the_backlog_is_full() -> None:
    inbox = LiveInbox(SoundSource(np.zeros(16_000 * 60, np.float32)), 1.0)
    inbox.close()
    assert not inbox._thread.is_alive()
    assert inbox.take() is None


def test_live_listening_tells_every_word_and_raises_what_ended_the_source() -> None:
    script = sentence(FOX, 0.5)
    source = SoundSource(sound(script, 6.0), error=AudioDeviceUnavailable("unplugged", hint="plug it in"))
    listening = listen(source, ScriptedRecognizer(script), LoudSpeech(), ListenOptions(language="en"))
    events: list[TranscriptEvent] = []
    with pytest.raises(AudioDeviceUnavailable, match="unplugged"):
        for event in listening:
            events.append(event)
    finals = [event for event in events if event.kind is EventKind.FINAL]
    assert "".join(word.text for event in finals for word in event.words).strip() == FOX
    assert events[-1].kind is EventKind.END


def test_live_listening_can_be_stopped_from_another_thread() -> None:
    listening = listen(Idle(3), ScriptedRecognizer([]), LoudSpeech())
    threading.Timer(0.1, listening.stop).start()
    [end] = list(listening)
    assert (end.kind, end.end_s) == (EventKind.END, pytest.approx(0.3))


def test_the_block_with_the_least_delay_sets_the_clock() -> None:
    timer = Timer(100.0)
    clock = ArrivalClock(timer)
    timer.now_s = 101.4
    clock.arrived(1.0)
    assert clock.now_s() == pytest.approx(1.0)
    timer.now_s = 102.1
    clock.arrived(2.0)
    assert clock.now_s() == pytest.approx(2.0)
    timer.now_s = 103.9
    clock.arrived(3.0)
    assert clock.now_s() == pytest.approx(3.8)


def test_a_simulated_clock_adds_work_to_the_time_of_the_sound() -> None:
    timer = Timer(50.0)
    clock = SimulatedClock(timer)
    clock.wait_until(2.0)
    assert clock.now_s() == pytest.approx(2.0)
    timer.now_s += 0.5
    clock.wait_until(2.1)
    assert clock.now_s() == pytest.approx(2.5)
