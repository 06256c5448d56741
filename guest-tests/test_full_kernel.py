# SPDX-License-Identifier: Apache-2.0
"""The kernel with all of Debian's modules: those load by name, and folders are built for it."""

from typing import TYPE_CHECKING

import pytest

from plx9x5x.lab.guest import sources as guest_sources

if TYPE_CHECKING:
    from plx9x5x.lab.trial_plugin import Try

pytestmark = pytest.mark.guest


def test_a_module_that_clouds_lack_loads_by_name_and_a_folder_is_built(full_kernel: str, plx_try: "Try") -> None:
    blink = guest_sources.find().root / "try/blink"
    command = "uname -r; lsmod | cut -d' ' -f1 | grep can"
    result = plx_try("can-raw", "vcan", blink, command=command, kernel=full_kernel)
    assert (result.exit_code, result.findings) == (0, ()), result.lines()
    release, *loaded = result.output.split()
    assert "cloud" not in release
    assert set(loaded) == {"can", "can_raw", "can_dev", "vcan"}
    assert [text.split()[1] for text in result.bound] == ["blink"]
