"""Importance matrices: how much a text uses each column of each weight matrix.

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
