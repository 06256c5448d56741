# SPDX-License-Identifier: Apache-2.0
"""Somebody's driver in C, unmodified, on nthal and a device of this process: bus driver, I/O manager, routines.

`build` compiles the sources (`nthal_c`), `load` puts the driver into the machine of a host, and the `Driver` is
driven by the test. `windows` plays what a driver calls beside DMA, `driver` what calls the driver.
"""

from nthal_c import Built, DoesNotCompile, DoesNotLoad, NativeError, NoCompiler
from plx9x5x.lab.contract.native.driver import Answer, Driver, build, load
from plx9x5x.lab.contract.native.windows import Host

__all__ = [
    "Answer", "Built", "DoesNotCompile", "DoesNotLoad", "Driver", "Host", "NativeError", "NoCompiler", "build", "load",
]  # fmt: skip
