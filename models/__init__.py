"""The networks that oneiro knows by name, and the one it carries: the registry."""

if __name__ != "oneiro.models":
    raise ImportError("this folder is the package oneiro.models: pip install, then import oneiro")

from .registry import Entry, find, labels, names, path, recognize

__all__ = ["Entry", "find", "labels", "names", "path", "recognize"]
