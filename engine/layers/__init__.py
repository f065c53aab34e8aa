"""The operators, one file a family; importing them fills the registry."""

from . import (
    arithmetic as arithmetic,
    concat as concat,
    conv as conv,
    gemm as gemm,
    identity as identity,
    lrn as lrn,
    norm as norm,
    pad as pad,
    pool as pool,
    reduce as reduce,
    relu as relu,
    resize as resize,
    shape as shape,
    sigmoid as sigmoid,
    softmax as softmax,
)
