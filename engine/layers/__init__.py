"""The operators, one file a family; importing them fills the registry."""

from . import (
    arithmetic as arithmetic,
)
from . import (
    concat as concat,
)
from . import (
    conv as conv,
)
from . import (
    gemm as gemm,
)
from . import (
    identity as identity,
)
from . import (
    lrn as lrn,
)
from . import (
    norm as norm,
)
from . import (
    pad as pad,
)
from . import (
    pool as pool,
)
from . import (
    reduce as reduce,
)
from . import (
    relu as relu,
)
from . import (
    resize as resize,
)
from . import (
    shape as shape,
)
from . import (
    sigmoid as sigmoid,
)
from . import (
    softmax as softmax,
)
