# SPDX-License-Identifier: Apache-2.0
"""Which Debian mirror, and which keys: read from the host's own apt sources, in both of their formats.

Source: sources.list(5).
"""

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from plx9x5x.errors import SetupError

ENV: Final = "PLX9X5X_MIRROR"
_ARCHIVE_SUITES: Final = frozenset(
    (
        "buster",
        "bullseye",
        "bookworm",
        "trixie",
        "forky",
        "duke",
        "sid",
        "oldoldstable",
        "oldstable",
        "stable",
        "testing",
        "unstable",
    )
)
_SCHEMES: Final = ("http", "https", "file", "copy", "mirror", "ftp", "tor")
# Options about trust and validity say something about the mirror; the others about what the host wants of it.
_KEPT_OPTIONS: Final = frozenset(
    (
        "trusted",
        "allow-insecure",
        "allow-weak",
        "allow-downgrade-to-insecure",
        "check-valid-until",
        "check-date",
        "by-hash",
    )
)
_DEB822_NAME: Final = {"signed-by": "signed-by"} | {name: name for name in _KEPT_OPTIONS}
_PGP: Final = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
NO_MIRROR_HINT: Final = (
    f"set {ENV} to the address of a Debian mirror and install the package debian-archive-keyring; "
    "or bring your own parts: PLX9X5X_QEMU, PLX9X5X_KERNEL, PLX9X5X_LIBVFIO_USER"
)
NO_APT_HINT: Final = (
    "use Debian 12 or later (a container will do), or bring your own parts: PLX9X5X_QEMU, PLX9X5X_KERNEL, "
    "PLX9X5X_LIBVFIO_USER"
)


@dataclass(frozen=True, slots=True)
class Mirror:
    """A place that may serve Debian's main archive, with the keys that the host trusts for it.

    `keys` are paths or fingerprints, as apt's signed-by takes them; `inline_key` is a key that the source itself held.
    """

    uri: str
    keys: tuple[str, ...] = ()
    inline_key: str = ""
    options: tuple[tuple[str, str], ...] = ()
    origin: str = ""

    def line(self, kind: str, suite: str) -> str:
        """One line for an apt list."""
        options = [f"{name}={value}" for name, value in self.options]
        if self.keys:
            options.append(f"signed-by={','.join(self.keys)}")
        bracket = f"[{' '.join(options)}] " if options else ""
        return f"{kind} {bracket}{self.uri} {suite} main"


def host_mirrors(settings: Mapping[str, str]) -> list[Mirror]:
    """Every candidate, the likeliest first; `settings` is what `apt-config dump Dir` said.

    Raises: SetupError when the host knows no Debian mirror, or has no key to check one.
    """
    etc = Path(settings.get("Dir", "/")) / settings.get("Dir::Etc", "etc/apt")
    files = [etc / settings.get("Dir::Etc::sourcelist", "sources.list")]
    parts = etc / settings.get("Dir::Etc::sourceparts", "sources.list.d")
    if parts.is_dir():
        files += sorted(p for p in parts.iterdir() if p.suffix in (".list", ".sources"))
    archive_keys = tuple(str(p) for p in _archive_keyrings(Path(settings.get("Dir", "/"))))
    if named := os.environ.get(ENV):
        found = [Mirror(named.rstrip("/"), origin=f"${ENV}")]
    else:
        found = [m for f in files for m in _of_file(f)]
        found.sort(key=lambda m: _rank(m, archive_keys))
    if not found:
        raise SetupError(f"no Debian mirror is named in {etc}", hint=NO_MIRROR_HINT)
    trusted = any((etc / d).is_dir() and any((etc / d).iterdir()) for d in ("trusted.gpg.d",))
    chosen = list(dict.fromkeys(_with_keys(m, archive_keys) for m in found))
    usable = [m for m in chosen if m.keys or m.inline_key or trusted or ("trusted", "yes") in m.options]
    if not usable:
        raise SetupError(
            "the signing keys of the Debian archive are missing, so nothing from a mirror can be checked",
            hint="sudo apt-get install debian-archive-keyring",
        )
    return usable


def _archive_keyrings(root: Path) -> Iterator[Path]:
    for name in ("debian-archive-keyring.gpg", "debian-archive-keyring.pgp"):
        path = root / "usr/share/keyrings" / name
        if path.is_file() and os.access(path, os.R_OK):
            yield path
            return


def _with_keys(mirror: Mirror, archive_keys: Sequence[str]) -> Mirror:
    """The host may trust this mirror for its own release only; the archive's keyring adds the other releases."""
    keys = [k for k in mirror.keys if not k.startswith("/") or Path(k).is_file()]
    return Mirror(
        mirror.uri, tuple(dict.fromkeys((*keys, *archive_keys))), mirror.inline_key, mirror.options, mirror.origin
    )


def _rank(mirror: Mirror, archive_keys: Sequence[str]) -> int:
    """The archive's own key first, then what all of the host's keys may sign, then others."""
    if any(k in archive_keys or "debian-archive" in k for k in mirror.keys):
        return 0
    return 1 if not mirror.keys else 2


def _of_file(path: Path) -> Iterator[Mirror]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for entry in _stanzas(text) if path.suffix == ".sources" else _lines(text):
        if not {"deb", "deb-src"} & set(entry["types"].split()) or "main" not in entry["components"].split():
            continue
        if not _ARCHIVE_SUITES & {s.partition("/")[0] for s in entry["suites"].split()}:
            continue
        keys, inline = _keys(entry.get("signed-by", ""))
        options = tuple(sorted((name, entry[name]) for name in _KEPT_OPTIONS if name in entry))
        for uri in entry["uris"].split():
            if re.split(r"[:+]", uri)[0].removesuffix("s") in {s.removesuffix("s") for s in _SCHEMES}:
                yield Mirror(uri.rstrip("/"), keys, inline, options, str(path))


def _keys(value: str) -> tuple[tuple[str, ...], str]:
    """What Signed-By holds: paths and fingerprints, or a whole key."""
    if _PGP in value:
        lines = (line.strip() for line in value.splitlines())
        return (), "\n".join("" if line == "." else line for line in lines if line) + "\n"
    return tuple(k for k in re.split(r"[,\s]+", value) if k), ""


def _lines(text: str) -> Iterator[dict[str, str]]:
    """The one-line format: type [options] uri suite component..."""
    for raw in text.splitlines():
        line = raw.partition("#")[0].strip()
        match = re.fullmatch(r"(deb|deb-src)\s+(?:\[(.*?)\]\s*)?(\S+)\s+(\S+)\s*(.*)", line)
        if not match:
            continue
        kind, options, uri, suite, components = match.groups()
        entry = {"types": kind, "uris": uri, "suites": suite, "components": components}
        for word in shlex.split(options or ""):
            name, equals, value = word.partition("=")
            if equals and name.lower() in _DEB822_NAME:
                entry[name.lower()] = value
        yield entry


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    """The deb822 format: `Field: value` blocks, continued by indented lines."""
    for block in re.split(r"\n\s*\n", text):
        entry: dict[str, str] = {}
        name = ""
        for line in block.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in (" ", "\t"):
                if name:
                    entry[name] += f"\n{line}"
                continue
            name, colon, value = line.partition(":")
            name = name.strip().lower()
            if colon:
                entry[name] = value.strip()
            else:
                name = ""
        if entry.get("enabled", "yes").lower() in ("no", "false", "0", "off", "disable", "without"):
            continue
        if {"types", "uris", "suites"} <= entry.keys():
            yield {"components": "", **entry}
