# SPDX-License-Identifier: Apache-2.0
"""The C face: somebody's unmodified driver in C, compiled for this process, with nthal as its Windows.

`build` compiles the sources against headers of ours, `load` puts the driver into a machine, and the `Driver` is the
I/O manager and the bus driver. Modules, lowest first: `shapes` and `prototypes`; `session`; `marshal`; `system`, the
routines; `builder` and `driver`.
"""

from nthal.native.builder import Built, build
from nthal.native.driver import Answer, Driver, load
from nthal.native.shapes import DoesNotCompile, DoesNotLoad, Host, NativeError, NoCompiler

__all__ = [
    "Answer", "Built", "DoesNotCompile", "DoesNotLoad", "Driver", "Host", "NativeError", "NoCompiler", "build", "load",
]  # fmt: skip
