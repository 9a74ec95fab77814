"""Known models and the store of their files; `pulling/` brings new ones.

`pulling/` is the only folder that opens a network connection.
Imports `device`, `gguf` and below.
"""
