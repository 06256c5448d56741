# SPDX-License-Identifier: Apache-2.0
"""The C face: C that calls the DMA routines, compiled for this process against headers of ours.

`build` compiles, a `Session` enters what was built, and `bind` lets it call Python. Who plays Windows around a driver
(Plug and Play, interrupts, requests) gives the module that does to `build`. Modules, lowest first: `shapes`,
`prototypes`, `blocks`, `rules`; `session`; `reach`; `marshal` and `pool`; `calls`; `builder`.
"""

from nthal_c.builder import Built, build
from nthal_c.calls import bind
from nthal_c.session import Session
from nthal_c.shapes import DoesNotCompile, DoesNotLoad, NativeError, NoCompiler

__all__ = ["Built", "DoesNotCompile", "DoesNotLoad", "NativeError", "NoCompiler", "Session", "bind", "build"]
