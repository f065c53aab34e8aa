"""CUDA kernels on a CPU: run without a GPU, and their mistakes found. See README.md beside this.

Module compiles CUDA C, its functions run on NumPy arrays; EmulatorError tells what is wrong.
"""

from .compiler import EmulatorError as EmulatorError
from .module import Function as Function, Module as Module
