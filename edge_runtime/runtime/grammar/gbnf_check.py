"""Check of a grammar that others wrote, before llama.cpp's recursive parser sees it."""

from __future__ import annotations

from .bounds import MOST_FIRST_STACKS, MOST_LEFT_CHAIN, MOST_LEFT_VISITS, grammar_refused, shown
from .gbnf_reader import Grammar, Sequence, Symbol, read_grammar


def check_grammar(text: str) -> Grammar:
    """Raises OptionInvalid for what is no GBNF, and for what llama.cpp could not bear.

    Refused besides wrong notation: an empty grammar, rules that begin with themselves, and more
    nesting, repetition, rules or places to begin at than the bounds.
    """
    grammar = read_grammar(text)
    nullable = _nullable(grammar)
    _check_beginnings(grammar, nullable)
    return grammar


def _nullable(grammar: Grammar) -> set[str]:
    """Rules that the empty text satisfies."""
    users: dict[str, set[str]] = {}
    for name, alternatives in grammar.rules.items():
        for sequence in alternatives:
            for symbol in sequence:
                if symbol.rule:
                    users.setdefault(symbol.rule, set()).add(name)
    found: set[str] = set()
    todo = list(grammar.rules)
    while todo:
        name = todo.pop()
        if name not in found and any(
            all(_may_be_empty(symbol, found) for symbol in sequence) for sequence in grammar.rules[name]
        ):
            found.add(name)
            todo += users.get(name, ())
    return found


def _may_be_empty(symbol: Symbol, nullable: set[str]) -> bool:
    return symbol.is_empty or not symbol.least or symbol.rule in nullable


def _beginnings(sequence: Sequence, nullable: set[str]) -> Sequence:
    """The symbols that a text of the sequence can begin with."""
    found = []
    for symbol in sequence:
        found.append(symbol)
        if not _may_be_empty(symbol, nullable):
            break
    return found


def _check_beginnings(grammar: Grammar, nullable: set[str]) -> None:
    """Each rule after those it can begin with; llama.cpp goes the same way, recursively."""
    first = {
        name: [symbol for sequence in alternatives for symbol in _beginnings(sequence, nullable)]
        for name, alternatives in grammar.rules.items()
    }
    costs: dict[str, _Cost] = {}
    visits = 0
    for start in grammar.rules:
        todo, path = [start], set()  # type: list[str], set[str]
        while todo:
            name = todo[-1]
            if name in costs:
                todo.pop()
            elif name in path:
                todo.pop()
                path.remove(name)
                costs[name] = _cost(grammar, name, first[name], costs, nullable)
                visits += costs[name].visits
            else:
                path.add(name)
                for symbol in first[name]:
                    if symbol.rule in path:
                        raise _left_recursion(grammar, symbol.rule)
                    if symbol.rule and symbol.rule not in costs:
                        todo.append(symbol.rule)
    if visits > MOST_LEFT_VISITS:
        raise grammar_refused("its rules begin with each other in too many ways", "give a simpler grammar")


class _Cost:
    """Of a rule: how deep and how often llama.cpp visits what it begins with, and at how many places."""

    def __init__(self) -> None:
        self.depth, self.visits, self.stacks = 1, 1, 0


def _cost(grammar: Grammar, name: str, first: Sequence, costs: dict[str, _Cost], nullable: set[str]) -> _Cost:
    found = _Cost()
    for symbol in first:
        inner = costs[symbol.rule] if symbol.rule else None
        times = 1
        if (symbol.rule in nullable and symbol.least != 1) or symbol.most != 1:
            if symbol.rule in nullable and symbol.most is None:
                raise _endless(grammar, name)
            times = max(symbol.most or 1, 1) if symbol.rule in nullable else 1
        found.depth = max(found.depth, 1 + times + (inner.depth if inner else 0))
        found.visits += times * times * (1 + (inner.visits if inner else 0))
        found.stacks += times * (inner.stacks if inner else not symbol.is_empty)
    place = _place(grammar, name)
    if found.depth > MOST_LEFT_CHAIN:
        raise grammar_refused(
            f"{place}: more than {MOST_LEFT_CHAIN} rules begin with each other", "shorten the chain"
        )
    if found.stacks > MOST_FIRST_STACKS or found.visits > MOST_LEFT_VISITS:
        raise grammar_refused(
            f"{place}: a text can begin in more than {MOST_FIRST_STACKS} ways",
            "write common beginnings once, and repeat nothing that may be empty",
        )
    return found


def _place(grammar: Grammar, name: str) -> str:
    rule = name.partition("_")[0]
    return f"line {grammar.line_of.get(rule, 1)}: rule {shown(repr(rule))}"


def _left_recursion(grammar: Grammar, name: str) -> Exception:
    return grammar_refused(
        f"{_place(grammar, name)} begins with itself", "write the recursion behind something, or use *"
    )


def _endless(grammar: Grammar, name: str) -> Exception:
    return grammar_refused(
        f"{_place(grammar, name)} repeats something that may be empty without an end",
        "let what is repeated have at least one character",
    )
