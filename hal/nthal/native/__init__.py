# SPDX-License-Identifier: Apache-2.0
"""The C face: somebody's unmodified driver in C, compiled for this process, with nthal as its Windows.

`build` compiles the sources against headers of ours, `load` puts the driver into a machine, and the `Driver` is the
I/O manager and the bus driver. Modules, lowest first: `errors`, `cdata`, `host`, `prototypes`; `objects`, `session`;
`marshal`; `kernel_routines`, `framework_routines`; `routines`; `builder`, `driver`.
"""

from nthal.native.builder import Built, build
from nthal.native.driver import Answer, Driver, load
from nthal.native.errors import DoesNotCompile, DoesNotLoad, NativeError, NoCompiler
from nthal.native.host import Host

__all__ = [
    "Answer", "Built", "DoesNotCompile", "DoesNotLoad", "Driver", "Host", "NativeError", "NoCompiler", "build", "load",
]  # fmt: skip
