"""The folder map; everything else about the package stands in pyproject.toml.

    engine/   ->  oneiro
    kernels/  ->  oneiro.kernels
    models/   ->  oneiro.models

A new folder with an __init__.py in one of the three becomes a package by itself.
"""

from setuptools import find_packages, setup

FOLDERS = {
    "oneiro": "engine",
    "oneiro.kernels": "kernels",
    "oneiro.models": "models",
}


def packages(root: str, folder: str) -> tuple[str, ...]:
    """Name the package that `folder` holds, and every package below it."""
    return (root, *(f"{root}.{below}" for below in find_packages(folder)))


setup(package_dir=FOLDERS, packages=[name for item in FOLDERS.items() for name in packages(*item)])
