"""The compiled twins of the hot functions: built where there is a C compiler and left out where there is none."""

from __future__ import annotations

from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

_OPTIONS = ["-O3", "-g0"]


def _extensions() -> list[Extension]:
    sources = sorted(Path("logstreamd").glob("*/*.pyx"))
    extensions: list[Extension] = cythonize(
        [
            Extension(".".join(source.with_suffix("").parts), [source.as_posix()], extra_compile_args=_OPTIONS)
            for source in sources
        ],
        build_dir="build",
        compiler_directives={
            "language_level": "3",
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
        },
    )
    for extension in extensions:
        # Only now: cythonize() makes new objects and drops it.
        extension.optional = True
    return extensions


setup(ext_modules=_extensions(), options={"build_ext": {"parallel": 2}})
