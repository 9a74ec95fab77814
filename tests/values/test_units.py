from __future__ import annotations

import pytest

from edge_runtime.errors import OptionInvalid
from edge_runtime.values.units import format_bytes, parse_bytes


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("2GB", 2_000_000_000),
        ("2gib", 2**31),
        ("1.5 GiB", 3 * 2**29),
        ("800M", 800_000_000),
        ("512", 512),
        (4096, 4096),
        (" 1kB ", 1000),
    ],
)
def test_sizes_are_decimal_unless_an_i_says_binary(text: str | int, size_bytes: int) -> None:
    assert parse_bytes(text) == size_bytes


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "2 GBs", "1e9", "0", 0, -5, True, "0.1", "٣GB", "nan"])
def test_what_is_no_size_names_the_option(text: str | int) -> None:
    with pytest.raises(OptionInvalid, match="--budget") as caught:
        parse_bytes(text)
    assert "2GB" in caught.value.hint


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.50 KiB"),
        (98_362_432, "93.8 MiB"),
        (2**31, "2.00 GiB"),
        (10**15, "909 TiB"),
    ],
)
def test_sizes_are_printed_with_three_digits_and_a_binary_unit(size_bytes: int, text: str) -> None:
    assert format_bytes(size_bytes) == text
