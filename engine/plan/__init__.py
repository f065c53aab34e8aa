"""A traced program compiled: passes over its calls, then an executor that makes them.

Each pass takes calls and gives calls. On every executor: what nobody reads is dropped, what depends
on constants alone is worked out (trim), and gates stand before splits (split). A device joins
functions of each element with the kernels beside them (fusion). The fast executor of the CPU folds
constant factors into filters (fold), notes nothing for the way back that it finds again (remake),
has kernels of its own for depthwise networks (separable), lets onnxruntime convolve elsewhere
(placement, schedule), and lays what is left into few kernels (tail, fusion) over memory that is
planned by last use (arena).
"""

from .plan import Plan

__all__ = ["Plan"]
