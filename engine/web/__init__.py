"""A page that looks into a network by itself, in any browser: files of it, and a server for them.

page.html, page.css  what is seen
page.js              what its parts do
source.js            where pictures come from
dream.js             DeepDream by a model of a step
picture.js           pictures as numbers, and on canvases
network.js           questions to the worker
worker.js            runs models by onnxruntime-web
"""

from .archive import ARCHIVE as ARCHIVE, unpacked as unpacked
from .site import Site as Site
