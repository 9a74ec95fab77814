"""Native inference: `llama/` (llama.cpp), `onnx/` (onnxruntime), `guard/` (the crash guard).

The only folder that imports llama_cpp and onnxruntime.
Imports `memory` and below.
"""
