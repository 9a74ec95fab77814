"""The languages of speech: Whisper's codes and their English names."""

from __future__ import annotations

import unicodedata
from difflib import get_close_matches
from types import MappingProxyType

from ...errors import OptionInvalid

# Source: openai/whisper, whisper/tokenizer.py, LANGUAGES. The codes are ISO 639's, but for "jw".
_BY_CODE = """
af Afrikaans, am Amharic, ar Arabic, as Assamese, az Azerbaijani, ba Bashkir, be Belarusian, bg Bulgarian,
bn Bengali, bo Tibetan, br Breton, bs Bosnian, ca Catalan, cs Czech, cy Welsh, da Danish, de German, el Greek,
en English, es Spanish, et Estonian, eu Basque, fa Persian, fi Finnish, fo Faroese, fr French, gl Galician,
gu Gujarati, ha Hausa, haw Hawaiian, he Hebrew, hi Hindi, hr Croatian, ht Haitian Creole, hu Hungarian,
hy Armenian, id Indonesian, is Icelandic, it Italian, ja Japanese, jw Javanese, ka Georgian, kk Kazakh,
km Khmer, kn Kannada, ko Korean, la Latin, lb Luxembourgish, ln Lingala, lo Lao, lt Lithuanian, lv Latvian,
mg Malagasy, mi Maori, mk Macedonian, ml Malayalam, mn Mongolian, mr Marathi, ms Malay, mt Maltese,
my Burmese,
ne Nepali, nl Dutch, nn Nynorsk, no Norwegian, oc Occitan, pa Punjabi, pl Polish, ps Pashto, pt Portuguese,
ro Romanian, ru Russian, sa Sanskrit, sd Sindhi, si Sinhala, sk Slovak, sl Slovenian, sn Shona, so Somali,
sq Albanian, sr Serbian, su Sundanese, sv Swedish, sw Swahili, ta Tamil, te Telugu, tg Tajik, th Thai,
tk Turkmen, tl Tagalog, tr Turkish, tt Tatar, uk Ukrainian, ur Urdu, uz Uzbek, vi Vietnamese, yi Yiddish,
yo Yoruba, yue Cantonese, zh Chinese"""
# What people write as well, and codes that changed.
_OTHER_NAMES = """
zh Mandarin, zh cmn, he iw, id in, jw jv, yi ji, no nb, no Bokmal, nn Norwegian Nynorsk, tl fil, tl Filipino,
my Myanmar, ca Valencian, nl Flemish, ht Haitian, lb Letzeburgesch, ps Pushto, pa Panjabi, ro Moldavian,
ro Moldovan, si Sinhalese, es Castilian, fa Farsi, el Modern Greek, km Cambodian, bn Bangla"""


def _pairs(listed: str) -> list[tuple[str, str]]:
    entries = (entry.split(maxsplit=1) for entry in listed.split(","))
    return [(code, name.strip()) for code, name in entries]


LANGUAGES = MappingProxyType(dict(_pairs(_BY_CODE)))  # {"en": "English", ...}


def parse_language(text: str, option: str = "language") -> str:
    """The code of a language: "fr" for "fr", "FR", "French" and "french".

    Raises OptionInvalid, naming `option` and the languages that are written almost like it.
    """
    wanted = _folded(text)
    code = _CODE_OF.get(wanted)
    if code is None:
        raise OptionInvalid(
            f"{option}: {text[:40]!r} is not a language that is known here",
            hint=_nearest(wanted),
            option=option,
            value=text[:40],
        )
    return code


def language_name(code: str) -> str:
    """In English; a code that is not known is its own name."""
    return LANGUAGES.get(code, code)


def _nearest(wanted: str) -> str:
    """A regional code, such as "pt-br", is taken for its language."""
    base = _CODE_OF.get(wanted.replace("_", "-").partition("-")[0])
    codes = [base] if base else [_CODE_OF[name] for name in get_close_matches(wanted[:40], _CODE_OF, n=3)]
    if codes:
        names = (f"{LANGUAGES[code]} ({code})" for code in dict.fromkeys(codes))
        return f"did you mean {' or '.join(names)}?"
    return "give an English name or a code of ISO 639, such as French or fr"


def _folded(text: str) -> str:
    """Without case, accents and space around it."""
    plain = unicodedata.normalize("NFKD", text.strip()).casefold()
    return " ".join("".join(c for c in plain if not unicodedata.combining(c)).split())


_CODE_OF = {_folded(name): code for code, name in _pairs(_OTHER_NAMES)}
_CODE_OF |= {_folded(name): code for code, name in LANGUAGES.items()}
_CODE_OF |= {code: code for code in LANGUAGES}
