"""The `format` keyword: each known format as a regular expression of texts that are all valid.

Where a format allows more than a model has reason to write, fewer texts are allowed than
it has: an address without quoted or commented parts, for example. docs/structured-output.md says which.
"""

from __future__ import annotations

_YEAR_LEAP = (
    "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"  # 0000 is left out
)
_DATE = (
    "(?:(?:[0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)-"
    "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    "|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    f"|{_YEAR_LEAP}-02-29)"
)
_TIME = (
    r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_NUMBER = "[0-9]{1,6}"
_DURATION_TIME = f"T(?:{_NUMBER}H(?:{_NUMBER}M(?:{_NUMBER}S)?)?|{_NUMBER}M(?:{_NUMBER}S)?|{_NUMBER}S)"
_DURATION_DATE = f"(?:{_NUMBER}Y(?:{_NUMBER}M(?:{_NUMBER}D)?)?|{_NUMBER}M(?:{_NUMBER}D)?|{_NUMBER}D)"
_LABEL = "[A-Za-z0-9]{1,20}(?:-[A-Za-z0-9]{1,16})?"  # of 63 at most, with letters at the ends
_HOST = rf"{_LABEL}(?:\.{_LABEL}){{0,3}}"
_BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rf"{_BYTE}\.{_BYTE}\.{_BYTE}\.{_BYTE}"
_GROUP = "[0-9A-Fa-f]{1,4}"
_IPV6 = "|".join(
    [
        f"(?:{_GROUP}:){{7}}{_GROUP}",
        *(f"(?:{_GROUP}:){{1,{n}}}(?::{_GROUP}){{1,{7 - n}}}" for n in range(1, 7)),
        f":(?::{_GROUP}){{1,7}}|(?:{_GROUP}:){{1,7}}:|::",
    ]
)
_REGISTERED_NAME = "(?:[A-Za-z0-9]{1,20}[.-]){0,4}[A-Za-z0-9]{1,20}"
_LETTER = "[A-Za-z0-9._~!$&'()*+,;=:@/-]"
_WEB = (
    f"(?:https?|ftp)://{_REGISTERED_NAME}(?::[1-9][0-9]{{0,3}})?"
    rf"(?:/{_LETTER}{{0,80}})?(?:\?{_LETTER}{{0,40}})?(?:#{_LETTER}{{0,20}})?"
)
_URI = f"(?:{_WEB}|(?:mailto:|urn:[a-z]{{2,12}}:)[A-Za-z0-9._@-]{{1,40}})"
_EMAIL = rf"[A-Za-z0-9_+-]{{1,24}}(?:\.[A-Za-z0-9_+-]{{1,16}})?@(?:{_LABEL}\.){{1,2}}[A-Za-z]{{2,10}}"
_POINTER = "(?:/(?:[^/~]|~[01])*)*"

EXPRESSIONS = {
    "date": _DATE,
    "time": _TIME,
    "date-time": f"(?:{_DATE})T{_TIME}",
    "duration": f"P(?:{_DURATION_DATE}(?:{_DURATION_TIME})?|{_DURATION_TIME}|{_NUMBER}W)",
    "email": _EMAIL,
    "idn-email": _EMAIL,
    "hostname": _HOST,
    "idn-hostname": _HOST,
    "ipv4": _IPV4,
    "ipv6": _IPV6,
    "uri": _URI,
    "uri-reference": _URI,
    "iri": _URI,
    "iri-reference": _URI,
    "uuid": "[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}",
    "json-pointer": _POINTER,
    "relative-json-pointer": f"(?:0|[1-9][0-9]{{0,5}})(?:#|{_POINTER})",
}
# Formats of the standard that no automaton describes; all other names are annotations.
REFUSED = ("regex", "uri-template")
