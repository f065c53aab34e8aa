"""A program over a Net as one plain ONNX model: the only folder that writes ONNX."""

from .file import save_model
from .program import export, export_program

__all__ = ["export", "export_program", "save_model"]
