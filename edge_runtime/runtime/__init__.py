"""`Runtime` and `AsyncRuntime`: planning, opening, prompts (`prompt/`) and the worker thread (`engine/`).

What an app calls to get text from a model.
Imports `backends` and below.
"""
