"""The GGUF format: types, header, checks of damaged files; `writing/` makes such files.

Pure Python and numpy, no llama.cpp.
Imports `values` and `errors`.
"""
