"""The networks that oneiro knows by name: those it carries, and those that it can fetch."""

if __name__ != "oneiro.models":
    raise ImportError("this folder is the package oneiro.models: pip install, then import oneiro")

from .registry import Entry, aliases, find, labels, names, path, recognize, source

__all__ = ["Entry", "aliases", "find", "labels", "names", "path", "recognize", "source"]
