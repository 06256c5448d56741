# SPDX-License-Identifier: Apache-2.0
"""`plx9x5x toolchain`: fetch what a guest needs, show what is there, remove it."""

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from plx9x5x.lab import defaults

if TYPE_CHECKING:
    from plx9x5x.lab.toolchain import Toolchain
    from plx9x5x.lab.toolchain.cache import Cache

NAME: Final = "toolchain"
HELP: Final = "Fetch, show or remove QEMU, guest kernels, busybox, libvfio-user and lspci (no root, nothing installed)."
_PARTS: Final = ("qemu", "kernel", "busybox", "libvfio-user", "pciutils", "virtiofsd")
_MB: Final = 1_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    verbs = parser.add_subparsers(metavar="ACTION", required=True, dest="action")
    fetch = verbs.add_parser("fetch", help="bring what is missing into the cache")
    fetch.add_argument("--kernel", metavar="K", help=f"{defaults.KERNEL_HELP}; 'all' is 6.1 and 6.12")
    fetch.add_argument("--need", action="append", choices=_PARTS, help="only this part (repeat for more)")
    show = verbs.add_parser("show", help="what is in the cache: versions, checksums, size")
    show.add_argument("--checksums", action="store_true", help="every package with its SHA-256")
    show.add_argument("--json", action="store_true", help="everything, for programs")
    verbs.add_parser("clean", help="remove everything that was fetched or built")


def run(args: argparse.Namespace) -> int:
    """Do the action."""
    from plx9x5x.lab.toolchain.cache import Cache

    match args.action:
        case "fetch":
            return _fetch(args)
        case "show":
            return _show(Cache.locate(), checksums=args.checksums, as_json=args.json)
        case _:
            return _clean(Cache.locate())


def _fetch(args: argparse.Namespace) -> int:
    from plx9x5x.lab.toolchain import ALL, KERNEL_SERIES, for_stream, load

    for kernel in KERNEL_SERIES if args.kernel == "all" else (args.kernel,):
        tc = load(kernel=kernel, need=args.need or ALL, progress=for_stream(sys.stderr))
        print("toolchain: " + ", ".join(f"{name} {version}" for name, version in tc.versions().items()))
        if not args.need or {"qemu", "kernel"} <= set(args.need):
            _build_witness(tc)
    return 0


def _build_witness(tc: "Toolchain") -> None:
    """Have QEMU's plugin ready; a host that lacks something for it can do everything else."""
    from plx9x5x.lab.guest import sources
    from plx9x5x.lab.witness import attach

    try:
        attach.prepare(tc, sources.find().witness)
    except attach.NoWitness as exc:
        print(f"note: no witness, drivers run unwatched: {exc}\nhint: {exc.hint}", file=sys.stderr)


def _show(cache: "Cache", *, checksums: bool, as_json: bool) -> int:
    from plx9x5x.lab.toolchain.cache import size_of

    parts = cache.installed()
    if as_json:
        print(json.dumps({"cache": str(cache.root), "parts": {p.path.name: asdict(p.record) for p in parts}}, indent=1))
        return 0
    print(f"cache {cache.root}: {size_of(cache.root) / _MB:.0f} MB")
    for part in parts:
        facts = "  ".join(f"{k}={v}" for k, v in part.record.facts.items() if not v.startswith("root/"))
        print(f"{part.path.name:28} {part.record.version:24} {size_of(part.path) / _MB:5.0f} MB  {facts}".rstrip())
        print(f"{'':28} {len(part.record.packages)} packages, made {part.record.made}")
        for name, place in part.record.facts.items():
            if place.startswith("root/"):
                print(f"{'':28} {name}: {part.path / place}")
        for package in part.record.packages if checksums else ():
            print(f"    {package.sha256}  {package.name} {package.version}  {package.size}")
    if not parts:
        print("nothing is there yet; 'plx9x5x toolchain fetch' brings it")
    return 0


def _clean(cache: "Cache") -> int:
    from plx9x5x.lab.toolchain import for_stream

    freed = cache.clean(for_stream(sys.stderr))
    print(f"removed {freed / _MB:.0f} MB from {cache.root}")
    return 0
