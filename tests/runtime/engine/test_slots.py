"""Slots: the sequence that a prompt goes to, and what is kept, on a cache that only counts."""

from __future__ import annotations

from dataclasses import dataclass, field

from edge_runtime.runtime.engine.slots import Slot, common_prefix, take_slot, tokens_like
from edge_runtime.values.records import TokenText


@dataclass
class Books:
    """The cache operations of a backend, written down; tokens are characters, "|" is a control token."""

    window_tokens: int = 0
    oldest: dict[int, int] = field(default_factory=dict)
    done: list[tuple[object, ...]] = field(default_factory=list)

    def remove(self, sequence: int, first_position: int) -> bool:
        self.done.append(("remove", sequence, first_position))
        return True

    def copy(self, source: int, target: int, end_position: int) -> None:
        self.done.append(("copy", source, target, end_position))

    def first_position(self, sequence: int) -> int:
        return self.oldest.get(sequence, 0)

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        return [ord(letter) for letter in text]

    def token_text(self, token: int) -> TokenText:
        return TokenText(chr(token).encode(), chr(token).encode(), is_end=False)

    def is_control(self, token: int) -> bool:
        return token == ord("|")


def slots_with(*texts: str) -> list[Slot]:
    return [
        Slot(n, [ord(letter) for letter in text], text=text, last_used_step=n if text else 0)
        for n, text in enumerate(texts)
    ]


def take(
    slots: list[Slot], prompt: str, books: Books | None = None
) -> tuple[int, int, list[tuple[object, ...]]]:
    """(sequence, tokens kept, what was done to the cache)"""
    books = books or Books()
    taken = take_slot(slots, books, [ord(letter) for letter in prompt])  # type: ignore[arg-type]
    assert taken is not None
    slot, kept = taken
    assert len(slot.tokens) == kept
    return slot.sequence, kept, books.done


def test_a_conversation_goes_on_where_it_was() -> None:
    assert take(slots_with("other", "hello wor"), "hello world") == (1, 9, [("remove", 1, 9)])


def test_one_token_is_always_left_to_evaluate() -> None:
    assert take(slots_with("hello"), "hello")[:2] == (0, 4)


def test_a_new_conversation_takes_an_empty_slot_and_copies_what_it_shares() -> None:
    sequence, kept, done = take(slots_with("system: A and more", ""), "system: B")
    assert (sequence, kept) == (1, 8)
    assert done[0] == ("copy", 0, 1, 8)


def test_with_no_slot_empty_the_one_unused_for_longest_makes_way() -> None:
    slots = slots_with("sys first", "sys second")
    slots[0].last_used_step, slots[1].last_used_step = 9, 4
    sequence, kept, done = take(slots, "sys|new")
    assert (sequence, kept) == (1, 3)
    assert done[0] == ("copy", 0, 1, 3) or done == [("remove", 1, 3)]


def test_most_of_a_conversation_shared_means_it_is_that_conversation() -> None:
    slots = slots_with("a long conversation, last answer", "x")
    slots[0].last_used_step, slots[1].last_used_step = 1, 9
    assert take(slots, "a long conversation, retried")[:2] == (0, 21)


def test_a_busy_slot_is_never_taken_but_may_lend_its_prefix() -> None:
    slots = slots_with("shared beginning", "")
    slots[0].job = object()  # type: ignore[assignment]
    sequence, kept, done = take(slots, "shared end")
    assert (sequence, kept, done[0]) == (1, 7, ("copy", 0, 1, 7))


def test_all_busy_means_wait() -> None:
    slots = slots_with("a")
    slots[0].job = object()  # type: ignore[assignment]
    assert take_slot(slots, Books(), [1]) is None  # type: ignore[arg-type]


def test_behind_a_sliding_window_there_is_no_way_back() -> None:
    """Positions before 30 are gone; going back to 35 would need those from 25 on."""
    slots = slots_with("x" * 40)
    assert take(slots, "x" * 35 + "y", Books(window_tokens=10, oldest={0: 30}))[:2] == (0, 0)


def test_within_the_window_a_short_step_back_is_fine() -> None:
    slots = slots_with("x" * 40)
    assert take(slots, "x" * 38 + "y", Books(window_tokens=10, oldest={0: 28}))[:2] == (0, 38)


def test_going_on_needs_nothing_from_behind_the_window() -> None:
    slots = slots_with("x" * 40)
    assert take(slots, "x" * 40 + "more", Books(window_tokens=10, oldest={0: 30}))[:2] == (0, 40)


def test_a_slots_own_tokens_stand_where_its_text_goes_on_with_a_control_token() -> None:
    slot = Slot(
        0, [1000, 1001], text="hello"
    )  # the model wrote it in two tokens, the tokenizer would in five
    books = Books()
    found = tokens_like([slot], books, list(map(ord, "hello|next")), "hello|next")  # type: ignore[arg-type]
    assert found == [1000, 1001, *map(ord, "|next")]
    joined = tokens_like([slot], books, list(map(ord, "hello next")), "hello next")  # type: ignore[arg-type]
    assert joined == list(map(ord, "hello next"))  # the border could lie inside a token


def test_a_token_shown_but_not_evaluated_belongs_to_the_text() -> None:
    slot = Slot(0, [1000], pending=(1001,), text="hello")
    found = tokens_like([slot], Books(), list(map(ord, "hello|x")), "hello|x")  # type: ignore[arg-type]
    assert found == [1000, 1001, *map(ord, "|x")]


def test_common_prefix() -> None:
    assert common_prefix([1, 2, 3], [1, 2, 4]) == 2
    assert common_prefix([1, 2], [1, 2, 3]) == 2
    assert common_prefix([], [1]) == 0
    assert common_prefix([2], [1]) == 0
