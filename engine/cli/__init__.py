"""The command line: arguments in, pictures and one-line errors out.

group      the command `oneiro`, and how it ends
console    what is told on the way
option     what several commands take
dream      dream, recipe
inspect    inspect
check      check
network    models
tune       tune
"""

from . import check as check, dream as dream, inspect as inspect, network as network, tune as tune
from .group import main as main
