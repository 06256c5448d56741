# SPDX-License-Identifier: Apache-2.0
"""The C face: C that calls the DMA routines, compiled for this process against headers of ours.

`build` compiles, a `Session` enters what was built, and `bind` lets it call Python. Who plays Windows around a driver
(Plug and Play, interrupts, requests) gives the module that does to `build`. Modules, lowest first: `shapes`,
`prototypes`; `session` and `marshal`; `calls`; `builder`.
"""

from nthal.native.builder import Built, build
from nthal.native.calls import bind
from nthal.native.session import Session
from nthal.native.shapes import DoesNotCompile, DoesNotLoad, NativeError, NoCompiler

__all__ = ["Built", "DoesNotCompile", "DoesNotLoad", "NativeError", "NoCompiler", "Session", "bind", "build"]
