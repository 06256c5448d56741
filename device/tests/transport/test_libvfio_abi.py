# SPDX-License-Identifier: Apache-2.0
"""Which library is which, what is refused, and that each ABI gets its own arguments."""

import ctypes
import logging
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from plx9x5x.errors import SetupError
from plx9x5x.ports import BusMaster, IrqLine, ResetKind
from plx9x5x.transport import libvfio_abi as abi
from plx9x5x.transport import libvfio_find as find
from plx9x5x.transport.libvfio import LibvfioServer
from tests.transport.fake_device import FakeDevice

SOURCE = Path(__file__).with_name("fake_vfu.c")
Build = Callable[..., Path]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Compiles a variant of our fake library."""
    folder = tmp_path_factory.mktemp("fake-vfu")

    def compile_variant(*defines: str) -> Path:
        output = folder / f"libfake{'-'.join(defines) or '-new'}.so"
        if not output.exists():
            flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", *(f"-D{name}" for name in defines)]
            subprocess.run(["gcc", *flags, "-o", output, SOURCE], check=True)
        return output

    return compile_variant


class Session:
    """A server on the fake library, which plays one client; `calls` is what arrived there."""

    def __init__(self, path: Path, folder: Path, plane: str = "python") -> None:
        library = abi.load_abi(path)
        library.lib.fake_calls.restype = ctypes.c_char_p
        with LibvfioServer(folder / "s", self._make, library=library, plane=plane) as server:
            with pytest.raises(RuntimeError, match="a bug in the device"):
                server.run()
            self.ranges = server.memory.ranges
            self.resets = tuple(self.device.resets)
        self.calls = library.lib.fake_calls().decode().splitlines()

    def _make(self, bus: BusMaster, irq: IrqLine) -> FakeDevice:
        self.device = FakeDevice(bus, irq)
        return self.device


@pytest.mark.parametrize(("plane", "own"), [("python", "none"), ("native", "own")])
@pytest.mark.parametrize(("defines", "dma"), [((), "dma ctx=1 max_regions=1000000"), (("OLD_ABI",), "dma ctx=1")])
def test_every_call_has_the_arguments_of_its_abi(
    build: Build,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    defines: tuple[str, ...],
    dma: str,
    plane: str,
    own: str,
) -> None:
    with caplog.at_level(logging.WARNING):
        session = Session(build(*defines), folder, plane)
    assert session.calls == [
        f"create trans=0 path={folder / 's'} flags=1 pvt={own} dev=0",
        "log ctx=1 level=3",
        "pci ctx=1 type=0 header=0 revision=0",
        "region ctx=1 0 size=4096 flags=0x7 areas=0/0 fd=-1 offset=0",
        "region ctx=1 1 size=256 flags=0x3 areas=0/0 fd=-1 offset=0",
        "region ctx=1 2 size=131072 flags=0x7 areas=0/0 fd=-1 offset=0",
        "region ctx=1 7 size=256 flags=0xb areas=0/0 fd=-1 offset=0",
        "reset ctx=1",
        dma,
        "irqs ctx=1 type=0 count=1",
        "irq-state ctx=1 type=0",
        "realize ctx=1",
        "attach ctx=1",
        "wrote 0+0xc0: 4 errno=0 value=0x11223344",
        "read 0+0xc0: 4 errno=0 value=0x11223344",
        "read 7+0: 2 errno=0 value=0x10b5",
        "read 0+0x80: -1 errno=5 value=0",
        "trigger ctx=1 0",
        "wrote 0+0x10: 1 errno=0 value=0x1",
        # Natively, what an unmask makes due is sent by the loop, which this session does not come back to.
        *(["trigger ctx=1 0"] * 2 if plane == "python" else []),
        "reset: 0",
        "destroy ctx=1",
    ]
    assert session.ranges == ()
    assert session.resets == (ResetKind.LOST_CLIENT,)
    assert "libvfio-user: what the library says" in caplog.text


def test_the_abis_are_told_apart(build: Build) -> None:
    new, old = abi.load_abi(build()), abi.load_abi(build("OLD_ABI"))
    assert (new.abi, new.max_dma_regions) == (abi.Abi.NEW, 1_000_000)
    assert (old.abi, old.max_dma_regions) == (abi.Abi.OLD, 16)


@pytest.mark.parametrize(
    ("define", "says"),
    [
        ("NO_TRIGGER", "no vfu_irq_trigger"),
        ("ANCIENT", "has vfu_map_sg"),
        ("SG_SIZE=48", r"dma_sg_size\(\) is 48, not 40"),
    ],
)
def test_an_unknown_abi_is_refused(build: Build, define: str, says: str) -> None:
    with pytest.raises(abi.UnknownAbi, match=says) as caught:
        abi.load_abi(build(define))
    assert "toolchain fetch" in caught.value.hint


def test_the_real_library_is_known(library: abi.LibVfioUser) -> None:
    assert library.abi in abi.Abi


def test_layouts_and_prototypes_agree_with_the_real_header(library_path: Path, tmp_path: Path) -> None:
    """The compiler compares our reading of the interface with the header that belongs to the library."""
    include = library_path.parent / "include"
    assert (include / "libvfio-user.h").exists(), "the toolchain keeps the header beside the library"
    import cffi

    old = abi.load_abi(library_path).abi is abi.Abi.OLD
    ffi = cffi.FFI()
    ffi.cdef(
        """
        typedef struct vfu_ctx vfu_ctx_t;
        struct iovec { void *iov_base; size_t iov_len; ...; };
        typedef struct vfu_dma_info {
            struct iovec iova; void *vaddr; struct iovec mapping; size_t page_size; uint32_t prot; ...;
        } vfu_dma_info_t;
        enum { VFU_TRANS_SOCK, VFU_DEV_TYPE_PCI, VFU_PCI_TYPE_CONVENTIONAL, VFU_PCI_DEV_CFG_REGION_IDX,
               VFU_DEV_INTX_IRQ, VFU_RESET_DEVICE, VFU_RESET_LOST_CONN, VFU_RESET_PCI_FLR, ... };
        #define LIBVFIO_USER_FLAG_ATTACH_NB ...
        #define VFU_REGION_FLAG_RW ...
        #define VFU_REGION_FLAG_MEM ...
        #define VFU_REGION_FLAG_ALWAYS_CB ...
        """
    )
    max_regions = "" if old else "size_t max_regions, "
    # Each assignment compiles only if the header declares the very same type.
    ffi.set_source(
        "_vfu_header",
        f"""
        #include <stdbool.h>
        #include "libvfio-user.h"
        size_t (*sg_size)(void) = dma_sg_size;
        vfu_ctx_t *(*create)(vfu_trans_t, const char *, int, void *, vfu_dev_type_t) = vfu_create_ctx;
        int (*set_log)(vfu_ctx_t *, void (*)(vfu_ctx_t *, int, const char *), int) = vfu_setup_log;
        int (*pci)(vfu_ctx_t *, vfu_pci_type_t, int, int) = vfu_pci_init;
        int (*region)(vfu_ctx_t *, int, size_t, ssize_t (*)(vfu_ctx_t *, char *, size_t, loff_t, bool), int,
                      struct iovec *, uint32_t, int, uint64_t) = vfu_setup_region;
        int (*reset)(vfu_ctx_t *, int (*)(vfu_ctx_t *, vfu_reset_type_t)) = vfu_setup_device_reset_cb;
        int (*dma)(vfu_ctx_t *, {max_regions}void (*)(vfu_ctx_t *, vfu_dma_info_t *),
                   void (*)(vfu_ctx_t *, vfu_dma_info_t *)) = vfu_setup_device_dma;
        int (*irqs)(vfu_ctx_t *, enum vfu_dev_irq_type, uint32_t) = vfu_setup_device_nr_irqs;
        int (*irq_state)(vfu_ctx_t *, enum vfu_dev_irq_type, void (*)(vfu_ctx_t *, uint32_t, uint32_t, bool))
            = vfu_setup_irq_state_callback;
        int (*realize)(vfu_ctx_t *) = vfu_realize_ctx;
        int (*attach)(vfu_ctx_t *) = vfu_attach_ctx;
        int (*poll_fd)(vfu_ctx_t *) = vfu_get_poll_fd;
        int (*run)(vfu_ctx_t *) = vfu_run_ctx;
        void (*destroy)(vfu_ctx_t *) = vfu_destroy_ctx;
        int (*trigger)(vfu_ctx_t *, uint32_t) = vfu_irq_trigger;
        """,
        include_dirs=[str(include)],
        extra_compile_args=["-O0", "-Werror=incompatible-pointer-types"],
        extra_link_args=[str(library_path.absolute())],
    )
    built = ffi.compile(tmpdir=str(tmp_path))
    header = _import(Path(built))
    for name, ours in (("struct iovec", abi.IoVec), ("vfu_dma_info_t", abi.DmaInfo)):
        assert header.ffi.sizeof(name) == ctypes.sizeof(ours)
        for field, _ in ours._fields_:
            assert header.ffi.offsetof(name, field) == getattr(ours, field).offset, field
    assert header.lib.VFU_TRANS_SOCK == abi.TRANS_SOCK
    assert header.lib.LIBVFIO_USER_FLAG_ATTACH_NB == abi.FLAG_ATTACH_NB
    assert header.lib.VFU_DEV_TYPE_PCI == abi.DEV_TYPE_PCI
    assert header.lib.VFU_PCI_TYPE_CONVENTIONAL == abi.PCI_TYPE_CONVENTIONAL
    assert header.lib.VFU_REGION_FLAG_RW == abi.REGION_FLAG_RW
    assert header.lib.VFU_REGION_FLAG_MEM == abi.REGION_FLAG_MEM
    assert header.lib.VFU_REGION_FLAG_ALWAYS_CB == abi.REGION_FLAG_ALWAYS_CB
    assert header.lib.VFU_PCI_DEV_CFG_REGION_IDX == abi.CFG_REGION_IDX
    assert header.lib.VFU_DEV_INTX_IRQ == abi.INTX_IRQ
    assert [header.lib.VFU_RESET_DEVICE, header.lib.VFU_RESET_LOST_CONN, header.lib.VFU_RESET_PCI_FLR] == [0, 1, 2]


def _import(path: Path) -> object:
    import importlib.util

    spec = importlib.util.spec_from_file_location("_vfu_header", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_argument_wins_over_the_environment(build: Build) -> None:
    environ = {find.ENV_VAR: str(build("OLD_ABI"))}
    assert find.find_library(build(), environ) == build()
    assert find.find_library(None, environ) == build("OLD_ABI")


def test_each_way_not_to_find_a_library_has_its_name(tmp_path: Path, build: Build) -> None:
    def refused(content: bytes | None, kind: type[SetupError]) -> None:
        path = tmp_path / "lib.so"
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(kind) as caught:
            find.open_library(find.find_library(None, {find.ENV_VAR: str(path)}))
        assert str(path) in str(caught.value)
        assert caught.value.hint

    good = build().read_bytes()
    refused(None, find.LibraryMissing)
    refused(b"", find.NotALibrary)
    refused(b"#!/bin/sh\nexec true # a script\n", find.NotALibrary)
    refused(good[:16] + b"\2\0" + good[18:], find.NotALibrary)  # an executable
    refused(good[:18] + b"\xf3\0" + good[20:], find.WrongArchitecture)  # RISC-V
    refused(good[:4] + b"\1" + good[5:], find.WrongArchitecture)  # 32 bits
    refused(good[:64], find.LoadFailed)
    with pytest.raises(find.LibraryNotNamed, match="no libvfio-user"):
        find.find_library(None, {})
    with pytest.raises(find.LibraryMissing):
        find.find_library(tmp_path)
