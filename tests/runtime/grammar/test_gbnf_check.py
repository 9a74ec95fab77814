"""Grammars that others wrote: what is wrong or too much is refused before llama.cpp sees it."""

from __future__ import annotations

import time

import pytest

from edge_runtime.errors import OptionInvalid
from edge_runtime.runtime.grammar.gbnf_check import check_grammar

REFUSED = {
    "": "it is empty",
    "# only a remark\n": "it is empty",
    'x ::= "a"': 'no rule named "root"',
    "root ::= x": "line 1: there is no rule 'x'",
    'root ::= "a" | y\nz ::= "b"\n': "there is no rule 'y'",
    "root ::= ((": "line 1, column 12: a \\( without \\)",
    "root ::= " + "(" * 60_000 + '"a"' + ")" * 60_000: "nested more than 100 deep",
    'root ::= root "a" | "b"': "rule 'root' begins with itself",
    'root ::= x\nx ::= "a"? y\ny ::= x "b"': "begins with itself",
    'root ::= "" root "a"': "begins with itself",
    'root ::= ("a"?)*': "repeats something that may be empty",
    'root ::= x+\nx ::= y\ny ::= "a"*': "repeats something that may be empty",
    'root ::= "a"{0,5000}': "more than 2000 repetitions",
    'root ::= "a"{1000}{1000}': "more than 2000 repetitions",
    'root ::= ("a"{0,100}){0,100}': "more than 2000 repetitions",
    'root ::= "a"{3,2}': "out of order",
    'root ::= "a"{x}': "expected {n}",
    'root ::= ""{0,3}': "nothing for { to repeat",
    "root ::= *": "nothing for \\* to repeat",
    'root ::= "' + "a" * 200_000 + '"{20}': "with repetitions written out",
    'root ::= "a\n': 'a " is missing',
    "root ::= [a": "a ] is missing",
    "root ::= []": "a class without characters",
    'root ::= "\\q"': "unknown escape",
    'root ::= "\\ud800"': "is no character",
    'root ::= "\\x00"': "NUL",
    'root ::= "a\ud800"': "half a surrogate pair",
    'my_rule ::= "a"': "expected ::= behind 'my'",
    'root = "a"': "expected ::=",
    'root ::= "a"\nroot ::= "b"': "line 2, column 1: the rule 'root' is defined twice",
    "root ::= <": "no token",
    'root ::= "a" )': "unexpected",
    "root ::= r0\n"
    + "\n".join(f"r{i} ::= r{i + 1}" for i in range(30_000))
    + '\nr30000 ::= "y"': "begin with",
    "root ::= r0\n"
    + "\n".join(f'r{i} ::= r{i + 1} | r{i + 1} "x"' for i in range(40))
    + '\nr40 ::= "y"': "ways",
    "root ::= " + "x" * 1_100_000: "bytes, at most",
}
GOOD = [
    'root ::= "yes" | "no"',
    'root ::= [a-z]+ "\\u00e9" [^\\]"\\\\] . # remark\n',
    '# remark\nroot ::= (x | "b" (y)+ )* ("x"{2}){3}\n  x ::= "1"\r\ny ::= "2" |\n  "3"',
    'root ::= "a"{2,} "c"{0,3} "d"{0}',
    'root ::= <|im_end|> !<[3]> "a"',
    'root ::= expr\nexpr ::= term ("+" term)*\nterm ::= [0-9]+ | "(" expr ")"',
    'root ::= "" | "a" root',
    "root ::= " + "(" * 99 + '"a"' + ")" * 99,
    'root ::= "' + "\U0001f600" * 1000 + '"',
]


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: repr(text[:24]))
def test_what_is_wrong_or_too_much_is_refused(text: str) -> None:
    started_s = time.monotonic()
    with pytest.raises(OptionInvalid, match=REFUSED[text]) as caught:
        check_grammar(text)
    assert str(caught.value).startswith("grammar: ") and caught.value.hint
    assert time.monotonic() - started_s < 10


@pytest.mark.parametrize("text", GOOD, ids=lambda text: repr(text[:24]))
def test_good_grammars_pass(text: str) -> None:
    assert "root" in check_grammar(text).rules
