# SPDX-License-Identifier: Apache-2.0
"""libvfio-user's C interface for ctypes: every prototype under its C signature, for both public ABIs.

The library has one soname and promises no stable ABI; a call with the wrong arguments is silent. So `load_abi`
tells the known ABIs apart by their symbols and refuses what it does not know. No ctypes type leaves this folder.

    old  the copy in QEMU's source tree up to 10.0: 16 DMA regions, a migration region
    new  upstream since protocol minor 2: the number of DMA regions is an argument

Source: /usr/include/vfio-user/libvfio-user.h of either version; reference/qemu-vfio-user.md section 13.
"""

import ctypes as c
import enum
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from plx9x5x.errors import SetupError
from plx9x5x.transport.libvfio_find import open_library

MAX_DMA_REGIONS: Final = 1_000_000
"""What the new ABI is asked for; QEMU's own limit is 65535 maps, so the library is never the one to refuse."""


class Abi(enum.Enum):
    """The two public ABIs."""

    OLD = "old"
    NEW = "new"


class UnknownAbi(SetupError):
    """The library is neither of the ABIs that this binding knows: calling it would corrupt memory in silence."""


# Constants of the header.

TRANS_SOCK: Final = 0
FLAG_ATTACH_NB: Final = 1 << 0
DEV_TYPE_PCI: Final = 0
PCI_TYPE_CONVENTIONAL: Final = 0
PCI_HEADER_TYPE_NORMAL: Final = 0
REGION_FLAG_RW: Final = 0b0011
REGION_FLAG_MEM: Final = 1 << 2
REGION_FLAG_ALWAYS_CB: Final = 1 << 3
CFG_REGION_IDX: Final = 7
INTX_IRQ: Final = 0
PROT_READ: Final = 1
PROT_WRITE: Final = 2
DMA_SG_SIZE: Final = 40
"""What `dma_sg_size()` answers in both ABIs; another answer is another library."""


class ResetType(enum.IntEnum):
    """vfu_reset_type_t."""

    DEVICE = 0
    LOST_CONN = 1
    PCI_FLR = 2


class IoVec(c.Structure):
    """struct iovec { void *iov_base; size_t iov_len; }."""

    _fields_ = (("iov_base", c.c_void_p), ("iov_len", c.c_size_t))


class DmaInfo(c.Structure):
    """struct vfu_dma_info { iovec iova; void *vaddr; iovec mapping; size_t page_size; uint32_t prot; }."""

    _fields_ = (
        ("iova", IoVec),
        ("vaddr", c.c_void_p),
        ("mapping", IoVec),
        ("page_size", c.c_size_t),
        ("prot", c.c_uint32),
    )


# Callbacks. Without use_errno=True on the *type*, C sees errno 0 whatever the callback set.

# void cb(vfu_ctx_t *, int level, const char *msg)
LogCb = c.CFUNCTYPE(None, c.c_void_p, c.c_int, c.c_char_p, use_errno=True)

# ssize_t cb(vfu_ctx_t *, char *buf, size_t count, loff_t offset, bool is_write)
RegionCb = c.CFUNCTYPE(c.c_ssize_t, c.c_void_p, c.c_void_p, c.c_size_t, c.c_int64, c.c_bool, use_errno=True)

# int cb(vfu_ctx_t *, vfu_reset_type_t type)
ResetCb = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_int, use_errno=True)

# void cb(vfu_ctx_t *, vfu_dma_info_t *info)
DmaCb = c.CFUNCTYPE(None, c.c_void_p, c.POINTER(DmaInfo), use_errno=True)

# void cb(vfu_ctx_t *, uint32_t start, uint32_t count, bool mask)
IrqStateCb = c.CFUNCTYPE(None, c.c_void_p, c.c_uint32, c.c_uint32, c.c_bool, use_errno=True)

_COMMON: Final[dict[str, tuple[Any, tuple[Any, ...]]]] = {
    # size_t dma_sg_size(void)
    "dma_sg_size": (c.c_size_t, ()),
    # vfu_ctx_t *vfu_create_ctx(vfu_trans_t trans, const char *path, int flags, void *pvt, vfu_dev_type_t dev_type)
    "vfu_create_ctx": (c.c_void_p, (c.c_int, c.c_char_p, c.c_int, c.c_void_p, c.c_int)),
    # int vfu_setup_log(vfu_ctx_t *, vfu_log_fn_t *log, int level)
    "vfu_setup_log": (c.c_int, (c.c_void_p, LogCb, c.c_int)),
    # int vfu_pci_init(vfu_ctx_t *, vfu_pci_type_t pci_type, int hdr_type, int revision)
    "vfu_pci_init": (c.c_int, (c.c_void_p, c.c_int, c.c_int, c.c_int)),
    # int vfu_setup_region(vfu_ctx_t *, int region_idx, size_t size, vfu_region_access_cb_t *cb, int flags,
    #                      struct iovec *mmap_areas, uint32_t nr_mmap_areas, int fd, uint64_t offset)
    "vfu_setup_region": (
        c.c_int,
        (c.c_void_p, c.c_int, c.c_size_t, RegionCb, c.c_int, c.POINTER(IoVec), c.c_uint32, c.c_int, c.c_uint64),
    ),
    # int vfu_setup_device_reset_cb(vfu_ctx_t *, vfu_reset_cb_t *reset)
    "vfu_setup_device_reset_cb": (c.c_int, (c.c_void_p, ResetCb)),
    # int vfu_setup_device_nr_irqs(vfu_ctx_t *, enum vfu_dev_irq_type type, uint32_t count)
    "vfu_setup_device_nr_irqs": (c.c_int, (c.c_void_p, c.c_int, c.c_uint32)),
    # int vfu_setup_irq_state_callback(vfu_ctx_t *, enum vfu_dev_irq_type type, vfu_dev_irq_state_cb_t *cb)
    "vfu_setup_irq_state_callback": (c.c_int, (c.c_void_p, c.c_int, IrqStateCb)),
    # int vfu_realize_ctx(vfu_ctx_t *)
    "vfu_realize_ctx": (c.c_int, (c.c_void_p,)),
    # int vfu_attach_ctx(vfu_ctx_t *)
    "vfu_attach_ctx": (c.c_int, (c.c_void_p,)),
    # int vfu_get_poll_fd(vfu_ctx_t *)
    "vfu_get_poll_fd": (c.c_int, (c.c_void_p,)),
    # int vfu_run_ctx(vfu_ctx_t *)
    "vfu_run_ctx": (c.c_int, (c.c_void_p,)),
    # void *vfu_get_private(vfu_ctx_t *)
    "vfu_get_private": (c.c_void_p, (c.c_void_p,)),
    # void vfu_destroy_ctx(vfu_ctx_t *)
    "vfu_destroy_ctx": (None, (c.c_void_p,)),
    # int vfu_irq_trigger(vfu_ctx_t *, uint32_t subindex)
    "vfu_irq_trigger": (c.c_int, (c.c_void_p, c.c_uint32)),
}

_SETUP_DMA: Final[dict[Abi, tuple[Any, tuple[Any, ...]]]] = {
    # int vfu_setup_device_dma(vfu_ctx_t *, vfu_dma_register_cb_t *, vfu_dma_unregister_cb_t *)
    Abi.OLD: (c.c_int, (c.c_void_p, DmaCb, DmaCb)),
    # int vfu_setup_device_dma(vfu_ctx_t *, size_t max_regions, vfu_dma_register_cb_t *, vfu_dma_unregister_cb_t *)
    Abi.NEW: (c.c_int, (c.c_void_p, c.c_size_t, DmaCb, DmaCb)),
}

_ONLY_IN_OLD: Final = "vfu_get_migr_register_area_size"

# Not called, but in both ABIs: a library without one of them is a third.
_ALSO_IN_BOTH: Final = (
    "vfu_addr_to_sgl",
    "vfu_create_ioeventfd",
    "vfu_device_quiesced",
    "vfu_setup_device_migration_callbacks",
    "vfu_sg_is_mappable",
    "vfu_sgl_get",
    "vfu_sgl_put",
)

# Of releases before both: a library with one of them is none that we know.
_ONLY_BEFORE: Final = ("vfu_addr_to_sg", "vfu_map_sg", "vfu_unmap_sg", "vfu_dma_read", "vfu_ctx_drive")


@dataclass(frozen=True, slots=True)
class LibVfioUser:
    """The library with its prototypes set, and what it is. `lib` is Any: ctypes makes its functions at run time."""

    lib: Any
    abi: Abi
    path: Path

    @property
    def max_dma_regions(self) -> int:
        """How many DMA regions a client may map at once."""
        return 16 if self.abi is Abi.OLD else MAX_DMA_REGIONS

    def setup_device_dma(self, ctx: int | None, register: Callable[..., Any], unregister: Callable[..., Any]) -> int:
        """Call vfu_setup_device_dma with the arguments of this ABI; 0, or -1 with errno set."""
        if self.abi is Abi.OLD:
            return int(self.lib.vfu_setup_device_dma(ctx, register, unregister))
        return int(self.lib.vfu_setup_device_dma(ctx, MAX_DMA_REGIONS, register, unregister))


def load_abi(path: Path) -> LibVfioUser:
    """Load the library, find out its ABI and set all prototypes.

    Raises: SetupError of libvfio_find if it does not load; UnknownAbi if it is not one of the two.
    """
    lib = open_library(path)
    abi = _tell(lib, path)
    for name, (result, arguments) in {**_COMMON, "vfu_setup_device_dma": _SETUP_DMA[abi]}.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    _check_sizes(lib, path)
    return LibVfioUser(lib=lib, abi=abi, path=path)


def _tell(lib: c.CDLL, path: Path) -> Abi:
    missing = [n for n in (*_COMMON, *_ALSO_IN_BOTH, "vfu_setup_device_dma") if not hasattr(lib, n)]
    surplus = [n for n in _ONLY_BEFORE if hasattr(lib, n)]
    if missing or surplus:
        what = [*(f"no {n}" for n in missing[:3]), *(f"has {n}" for n in surplus[:3])]
        raise _unknown(path, ", ".join(what))
    return Abi.OLD if hasattr(lib, _ONLY_IN_OLD) else Abi.NEW


def _check_sizes(lib: c.CDLL, path: Path) -> None:
    pointer = c.sizeof(c.c_void_p)
    if c.sizeof(IoVec) != 2 * pointer or c.sizeof(DmaInfo) != 7 * pointer:
        raise _unknown(path, f"this machine lays out struct vfu_dma_info in {c.sizeof(DmaInfo)} bytes")
    if (size := int(lib.dma_sg_size())) != DMA_SG_SIZE:
        raise _unknown(path, f"dma_sg_size() is {size}, not {DMA_SG_SIZE}")


def _unknown(path: Path, what: str) -> UnknownAbi:
    return UnknownAbi(
        f"{path} has an ABI of libvfio-user that this binding does not know: {what}",
        hint="use the library that `plx9x5x toolchain fetch` builds, or upstream's head",
    )
