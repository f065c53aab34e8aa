"""Sums of products along named axes."""

from collections.abc import Iterator

from . import Case, make, normal


def cases() -> Iterator[Case]:
    for equation, *shapes in [
        ("ij->ji", (3, 5)),
        ("ij->", (3, 5)),
        ("kij->ik", (2, 3, 5)),
        ("ij,jk->ik", (3, 5), (5, 7)),
        ("ij , jk", (3, 5), (5, 7)),
        ("bhid,bhjd->bhij", (2, 3, 4, 5), (2, 3, 6, 5)),
        ("nchw,cv->nvhw", (2, 3, 5, 7), (3, 4)),
        ("i,j->ij", (3,), (5,)),
        ("ij,k->j", (3, 5), (7,)),
        ("ij,ij,jk->ik", (3, 5), (3, 5), (5, 7)),
        ("...ij,...jk->...ik", (2, 3, 4, 5), (1, 3, 5, 7)),
        ("...ij,...j", (2, 1, 4, 5), (1, 3, 5)),
        ("i...->...", (3, 5, 7)),
    ]:
        xs = [normal(*shape) for shape in shapes]
        yield Case(make("Einsum", equation=equation), xs, range(len(xs)))
    yield Case(make("Einsum", equation="iji->ij"), [normal(3, 5, 3)], ())
