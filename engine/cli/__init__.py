"""The command line: arguments in, pictures and one-line errors out.

group        the command `oneiro`, and how it ends
console      what is told on the way
counter      a count of what is done
progress     a climb, with what is kept of it
loading      the network that is asked for, and where what is made goes
option       what several commands take
method       the methods that explain a photo
activations  activations
dream        dream, recipe
embed        embed
export       export
filters      filters
inspect      inspect
invert       invert
check        check
maximize     maximize
occlude      occlude
patches      patches
report       report
saliency     saliency
segment      segment
style        style
network      models
tune         tune
web          web
"""

from . import (
    activations as activations,
    check as check,
    dream as dream,
    embed as embed,
    export as export,
    filters as filters,
    inspect as inspect,
    invert as invert,
    maximize as maximize,
    network as network,
    occlude as occlude,
    patches as patches,
    report as report,
    saliency as saliency,
    segment as segment,
    style as style,
    tune as tune,
    web as web,
)
from .group import main as main
