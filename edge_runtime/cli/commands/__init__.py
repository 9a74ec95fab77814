"""The commands, one module each: add_parser() declares it, run() does it.

Modules are imported by name from `cli/command_line.py`.
Imports `cli/screen`, `cli/options` and everything below `cli`.
"""

# In the order of the help. Modules are imported one at a time, when their command is used.
SUMMARIES = {
    "chat": "talk to a model; with a PROMPT, or with stdin from a pipe, answer once",
    "generate": "answer one prompt, from the argument or from stdin",
    "transcribe": "transcribe recordings: text, subtitles or JSON",
    "translate": "translate what is said in recordings",
    "listen": "show live captions of a microphone",
    "plan": "say what a model would hold in memory, and which settings fit",
    "models": "list, fetch and remove models",
    "doctor": "say what this device has and what to do about each problem",
    "bench": "measure speed and memory",
    "synth": "write a model with random weights, to measure with",
    "convert": "convert a Hugging Face checkpoint or LoRA adapter to GGUF",
    "quantize": "write a GGUF file in smaller types",
    "imatrix": "measure which weights a text uses most, for quantize",
    "slice": "cut a smaller Gemma 3n out of a larger one",
    "inspect": "show what is in a GGUF file",
    "verify": "check hashes and contents of model files",
    "diff": "compare two GGUF files",
    "quality": "measure what quantization cost: perplexity, KL divergence",
}
