"""onnxruntime sessions.

The only place that imports onnxruntime.
Imports `memory` and below.
"""
