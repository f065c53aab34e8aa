"""An .onnx file as layers and constants: the only folder that reads ONNX.

proto      the file as protobuf, its functions inlined, its nodes in order
tensor     tensors as arrays, from the file and from the weights beside it
schema     what ONNX's own tables allow a node to say
version    the forms of older opsets as today's
constant   what depends on constants alone, worked out
rewrite    pictures of any size and layout
reader     one reading, from the path to the Model
"""

from .constant import foreseen as foreseen
from .model import (
    MAX_BYTES as MAX_BYTES,
    Model as Model,
    ModelWarning as ModelWarning,
    Node as Node,
)
from .reader import read_model as read_model
