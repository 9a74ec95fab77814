"""Tools that make and check model files: convert, quantize, slice, quality, inspect and others."""
