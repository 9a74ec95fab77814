"""Languages of sound tracks: containers use codes of three letters, people those of two."""

from __future__ import annotations

# ISO 639-1 and the codes of ISO 639-2, the bibliographic one as well where there are two.
# Source: Library of Congress, ISO 639-2 Registration Authority.
_CODES = """
ar ara, bg bul, bn ben, ca cat, cs ces cze, cy cym wel, da dan, de deu ger, el ell gre, en eng, es spa,
et est, eu eus baq, fa fas per, fi fin, fr fra fre, ga gle, gl glg, he heb, hi hin, hr hrv, hu hun,
id ind, is isl ice, it ita, ja jpn, ka kat geo, ko kor, lt lit, lv lav, mk mkd mac, ms msa may, nl nld dut,
no nor nob nno, pl pol, pt por, ro ron rum, ru rus, sk slk slo, sl slv, sq sqi alb, sr srp, sv swe, sw swa,
ta tam, te tel, th tha, tr tur, uk ukr, ur urd, vi vie, zh zho chi"""
_SAME = [set(codes.split()) for codes in _CODES.split(",")]


def is_same_language(one: str, other: str) -> bool:
    """Whether two codes, of two or three letters, mean one language."""
    return one == other or any({one, other} <= codes for codes in _SAME)
