"""Grammars that constrain an answer: JSON Schema to GBNF, and checks of GBNF that others wrote."""
