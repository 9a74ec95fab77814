"""Time stamps of subtitle files."""

from __future__ import annotations


def srt_time(time_s: float) -> str:
    """01:02:03,456. Hours take as many digits as they need."""
    return _time(time_s, ",")


def vtt_time(time_s: float) -> str:
    """01:02:03.456"""
    return _time(time_s, ".")


def _time(time_s: float, point: str) -> str:
    seconds, milliseconds = divmod(round(max(time_s, 0.0) * 1000), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{milliseconds:03}"
