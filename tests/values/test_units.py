from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.errors import OptionInvalid
from edge_runtime.values.units import (
    ByteUnits,
    byte_units_of,
    format_alike,
    format_bytes,
    parse_bytes,
    size_to_type,
)

UNITS = st.sampled_from(ByteUnits)
SIZES = st.one_of(st.integers(1, 4096), st.integers(1, 2**31), st.integers(1, 900 * 10**12))


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
        ("2.01GB", 2_010_000_000),  # as a float it would be a byte less
        ("1.0009KB", 1000),
    ],
)
def test_sizes_are_decimal_unless_an_i_says_binary(text: str | int, size_bytes: int) -> None:
    assert parse_bytes(text) == size_bytes


@pytest.mark.parametrize(
    "text", ["", "GB", "-1GB", "2 GBs", "1e9", "0", 0, -5, True, "0.1", "٣GB", "nan", "9" * 5000 + "GB"]
)
def test_what_is_no_size_names_the_option(text: str | int) -> None:
    with pytest.raises(OptionInvalid, match="budget: ") as caught:
        parse_bytes(text)
    assert "2GB" in caught.value.hint and caught.value.facts["option"] == "budget"


@pytest.mark.parametrize(
    ("size_bytes", "decimal", "binary"),
    [
        (0, "0 B", "0 B"),
        (999, "999 B", "999 B"),
        (1000, "1.00 KB", "1000 B"),
        (1023, "1.02 KB", "1023 B"),
        (1536, "1.54 KB", "1.50 KiB"),
        (9_996_000, "10.0 MB", "9.53 MiB"),
        (99_960_000, "100 MB", "95.3 MiB"),
        (999_499_999, "999 MB", "953 MiB"),
        (999_500_000, "1.00 GB", "953 MiB"),
        (1000 * 2**20, "1.05 GB", "0.977 GiB"),
        (2**31, "2.15 GB", "2.00 GiB"),
        (10**15, "1000 TB", "909 TiB"),  # there is no larger unit
    ],
)
def test_sizes_have_three_digits_in_either_family_of_units(
    size_bytes: int, decimal: str, binary: str
) -> None:
    assert format_bytes(size_bytes) == decimal
    assert format_bytes(size_bytes, ByteUnits.BINARY) == binary


def test_fewer_digits_are_rounded_and_none_before_the_point_is_lost() -> None:
    assert format_bytes(12_345, digits=2) == "12 KB" and format_bytes(4_100_000, digits=2) == "4.1 MB"
    assert format_bytes(987_654_321, digits=2) == "988 MB"


@given(SIZES, UNITS)
def test_what_is_shown_reads_back_within_its_rounding(size_bytes: int, units: ByteUnits) -> None:
    shown = format_bytes(size_bytes, units)
    assert abs(parse_bytes(shown) - size_bytes) <= 0.005 * size_bytes + 1
    assert not shown.startswith("1000 ") or shown == "1000 B"
    assert size_bytes < 1000 or byte_units_of(shown) is units or shown.endswith(" B")


@given(SIZES, SIZES, UNITS)
def test_the_larger_size_never_shows_the_smaller_number(one: int, other: int, units: ByteUnits) -> None:
    low, high = sorted((one, other))
    assert parse_bytes(format_bytes(low, units)) <= parse_bytes(format_bytes(high, units))


@given(SIZES, UNITS)
def test_a_size_to_type_is_enough_and_not_much_more(size_bytes: int, units: ByteUnits) -> None:
    typed = parse_bytes(size_to_type(size_bytes, units))
    assert size_bytes <= typed < size_bytes + units.value**2
    assert byte_units_of(size_to_type(size_bytes, units)) is units


def test_sizes_to_compare_share_the_unit_and_the_decimals_of_the_largest() -> None:
    sizes = [1_749_000_000, 515_000_000, 0]
    assert format_alike(sizes) == (["1.75", "0.52", "0.00"], "GB")
    assert format_alike(sizes, ByteUnits.BINARY) == (["1.63", "0.48", "0.00"], "GiB")
    assert format_alike([290_000_000, 90_400_000]) == (["290", "90"], "MB")
    assert format_alike([12, 0]) == (["12", "0"], "B")


@pytest.mark.parametrize(
    ("sizes", "units"),
    [
        (("2GB",), ByteUnits.DECIMAL),
        (("2 gib",), ByteUnits.BINARY),
        ((2**31,), ByteUnits.DECIMAL),
        ((None, "512"), ByteUnits.DECIMAL),
        (("2GB", None, "50MiB"), ByteUnits.BINARY),
    ],
)
def test_the_letter_i_says_which_units_somebody_reads(
    sizes: tuple[str | int | None, ...], units: ByteUnits
) -> None:
    assert byte_units_of(*sizes) is units
