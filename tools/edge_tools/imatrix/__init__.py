"""Importance matrices: which columns of which weights a text really uses.

found = compute_imatrix("gemma.gguf", text, Path("gemma.imatrix.gguf"))
means = read_imatrix(found.path)  # {"blk.0.attn_q.weight": (columns,), ...}
"""

from .computing import compute_imatrix
from .matrix import ColumnUse, ImportanceMatrix
from .reading import read_imatrix, read_importance_matrix
from .writing import write_imatrix

__all__ = [
    "ColumnUse",
    "ImportanceMatrix",
    "compute_imatrix",
    "read_imatrix",
    "read_importance_matrix",
    "write_imatrix",
]
