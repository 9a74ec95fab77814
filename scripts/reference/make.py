"""Makes tiny checkpoints and adapters, and what llama.cpp's converter makes of them.

Runs in the reference environment (torch, transformers, peft, sentencepiece), which the product never
needs; see scripts/reference_conversions.sh. For each case: a folder with the checkpoint or the adapter,
one GGUF file a type, and greedy.json with the tokens that transformers chooses.
"""

from __future__ import annotations

import argparse
import os
import runpy
import sys
import traceback
from pathlib import Path

from .adapters import ADAPTERS, AdapterCase, make_adapter
from .adapters import TYPES as ADAPTER_TYPES
from .cases import CASES, Case
from .checkpoints import make_checkpoint

TYPES = ("f32", "f16", "bf16", "q8_0")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--llama-cpp", type=Path, required=True, help="folder with convert_hf_to_gguf.py")
    parser.add_argument("--only", nargs="*", default=[*CASES, *ADAPTERS])
    args = parser.parse_args()
    sys.path[:0] = [str(args.llama_cpp), str(args.llama_cpp / "gguf-py")]
    os.environ["HF_HUB_OFFLINE"] = "1"
    failed = 0
    for name in args.only:
        try:
            if name in CASES:
                _make(args.folder / name, CASES[name])
            else:
                _make_adapter(args.folder, name, ADAPTERS[name], args.llama_cpp)
        except Exception:  # one that cannot be made must not hide the others  # noqa: BLE001
            traceback.print_exc()
            failed += 1
        print(f"{name}: done", flush=True)
    return 1 if failed else 0


def _make(folder: Path, case: Case) -> None:
    checkpoint = make_checkpoint(folder, case)
    for kind in TYPES:
        _convert(checkpoint, folder / f"reference-{kind}.gguf", kind, case.pre_tokenizer)


def _convert(checkpoint: Path, path: Path, kind: str, pre_tokenizer: str) -> None:
    """With llama.cpp's own converter, in this process."""
    import convert_hf_to_gguf
    from conversion.base import TextModel

    if pre_tokenizer:
        TextModel.get_vocab_base_pre = lambda self, tokenizer: pre_tokenizer
    sys.argv = ["convert", str(checkpoint), "--outfile", str(path), "--outtype", kind]
    convert_hf_to_gguf.main()


def _make_adapter(fixtures: Path, name: str, case: AdapterCase, llama_cpp: Path) -> None:
    base = fixtures / case.base / "Tiny-Model"
    adapter = make_adapter(fixtures / name, base, case)
    for kind in ADAPTER_TYPES:
        path = fixtures / name / f"reference-{kind}.gguf"
        sys.argv = ["convert", "--base", str(base), "--outfile", str(path), "--outtype", kind, str(adapter)]
        runpy.run_path(str(llama_cpp / "convert_lora_to_gguf.py"), run_name="__main__")


if __name__ == "__main__":
    sys.exit(main())
