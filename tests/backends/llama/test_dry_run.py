"""The sizes that llama.cpp logs, read from its log."""

from __future__ import annotations

from support.memory_models import MIB

from edge_runtime.backends.llama.dry_run import DryRunSizes, sizes_in

LOG = """
llama_context: constructing llama_context
llama_context:        CPU  output buffer size =     0.19 MiB
llama_kv_cache:        CPU KV buffer size =     0.00 MiB
llama_kv_cache: size =   90.00 MiB (  4096 cells,  30 layers,  1/1 seqs), K (f16):   45.00 MiB
llama_kv_cache: size =   10.50 MiB (   768 cells,  15 layers,  1/1 seqs), K (f16):    5.25 MiB
sched_reserve:        CPU compute buffer size =    17.51 MiB
"""


def test_the_log_is_read() -> None:
    assert sizes_in(LOG) == DryRunSizes(
        compute_bytes=int(17.51 * MIB), kv_bytes=int(100.5 * MIB), output_bytes=int(0.19 * MIB)
    )
