#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does a test fail when the model is wrong? Change one place at a time, run the tests, list the changes none noticed.

One process imports pytest and what the tests need; each mutant is a fork of it. There the import system is given the
changed module, and the tests that run the changed line follow, quickest first, until one fails. So a mutant lives in
memory only, over a copy of the tree, and tables that are class bodies change as functions do. What takes effect at
import is tried with every test. Subprocesses of a test would see the unchanged code.

The sample goes line by line: one mutant of each line in random order, then a second of each; a larger sample with the
same seed starts with the smaller one. A run goes on where the last one stopped: what was killed stays so until the
targets change, what survived is tried again when the tests change. A time-out counts as killed.

Never changed, since no test could or should notice: strings, f-strings, docstrings, `__repr__` (texts); `doc=`,
`source=`, `unverified=` (documentation); annotations, decorators, overloads, `TypeVar`, `TYPE_CHECKING` (types);
`assert` and a guard whose body is `raise AssertionError` (our own bugs); log calls; `zip(strict=)`; the place and the
presence of a read-only field with reset value 0 that no code names (it reads 0 wherever it is).
"""

import argparse
import ast
import difflib
import functools
import gc
import hashlib
import importlib
import itertools
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType

import coverage
import hypothesis
import pytest
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "device/plx9x5x"
TARGETS = [f"{PACKAGE}/regs", f"{PACKAGE}/model"]
TESTS = ["device/tests/regs", "device/tests/model", "device/tests/behaviour"]
SOURCE_ROOTS = ("device", "hal")
PRELOAD = ("numpy", "hypothesis.strategies", "_hypothesis_pytestplugin", "pytest_timeout")
PYTEST = [
    *("-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:pytest_cov", "-p", "no:plx9x5x"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # the plugins are imported before pytest looks at them
]
MEMORY_LIMIT = 4 << 30
REFUSED = 71
NOTICED = (1, 2, 4, REFUSED)  # exit codes: a test failed; a test file, a conftest, the module could not be imported
GRACE_S = 10.0  # on top of every time limit: start-up, and a machine that does something else too
STATES = KILLED, TIMEOUT, SURVIVED, UNTESTED, BROKEN = "killed", "timeout", "survived", "untested", "broken"

SWAPS: dict[type[ast.AST], tuple[str, ...]] = {  # what stands there, then what may stand there instead
    ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="), ast.Is: ("is", "is not"), ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"), ast.NotIn: ("not in", "in"), ast.Lt: ("<", "<=", ">="), ast.LtE: ("<=", "<", ">"),
    ast.Gt: (">", ">=", "<="), ast.GtE: (">=", ">", "<"), ast.And: ("and", "or"), ast.Or: ("or", "and"),
    ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "//"), ast.FloorDiv: ("//", "*"), ast.Mod: ("%", "//"),
    ast.BitAnd: ("&", "|"), ast.BitOr: ("|", "&"), ast.LShift: ("<<", ">>"), ast.RShift: (">>", "<<"),
}  # fmt: skip
SKIPPED_KEYWORDS = {"doc", "source", "unverified", "strict"}
LOGGERS = {"log", "logger", "_log", "_logger", "logging"}
FIELD_MAKERS = {"bit", "bits"}


@dataclass(frozen=True)
class Mutant:
    """One change of one source file, in bytes of that file."""

    path: str
    line: int
    operator: str
    start: int
    end: int
    new: str
    lines: tuple[int, int] | None
    """The lines whose tests count; None where the change takes effect at import."""

    @property
    def key(self) -> str:
        """What names it in the results of one state of the sources."""
        return f"{self.path}:{self.start}-{self.end}:{self.new}"

    @property
    def where(self) -> str:
        """What people read."""
        return f"{self.path}:{self.line}: {self.operator}"

    def apply(self, source: bytes) -> bytes:
        """Give the changed source."""
        return source[: self.start] + self.new.encode() + source[self.end :]


def last_name(node: ast.AST | None) -> str:
    """Give `c` of `a.b.c` and of `c(...)`, "" of anything else."""
    if isinstance(node, ast.Call):
        return last_name(node.func)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


class Finder:
    """Collects the mutants of one file. `enums` are the members of each enum class, `named` every attribute in use."""

    def __init__(self, path: str, source: bytes, enums: dict[str, list[str]], named: set[str]) -> None:
        self.path, self.source, self.enums, self.named = path, source, enums, named
        self.mutants: list[Mutant] = []
        self._starts = [0, *itertools.accumulate(map(len, source.splitlines(keepends=True)))]
        self._lines: tuple[int, int] | None = None
        self._in_function = False

    def visit(self, node: ast.AST) -> None:
        """Collect what may change in a node and below."""
        if self._is_kept(node):
            return
        outer = self._lines, self._in_function
        if self._in_function and isinstance(node, ast.stmt | ast.match_case):
            first = node.pattern.lineno if isinstance(node, ast.match_case) else node.lineno
            body: list[ast.stmt] = getattr(node, "body", [])
            self._lines = first, max(first, body[0].lineno - 1 if body else getattr(node, "end_lineno", first))
        self._change(node)
        for child in self._children(node):
            self.visit(child)
        self._lines, self._in_function = outer

    def _is_kept(self, node: ast.AST) -> bool:
        match node:
            case ast.JoinedStr() | ast.Assert():
                return True
            case ast.keyword(arg=name):
                return name in SKIPPED_KEYWORDS
            case ast.FunctionDef(name=name, decorator_list=decorators):
                return name == "__repr__" or "overload" in map(last_name, decorators)
            case ast.Call(func=ast.Attribute(value=owner)):
                return last_name(owner) in LOGGERS
            case ast.Call():
                return last_name(node) == "TypeVar"
            case ast.If(body=[ast.Raise(exc=error)]) if last_name(error) == "AssertionError":
                return True
            case ast.If(test=test):
                return last_name(test) == "TYPE_CHECKING"
        return False

    def _children(self, node: ast.AST) -> Iterator[ast.AST]:
        match node:
            case ast.FunctionDef(args=arguments, body=body):
                yield from filter(None, (*arguments.defaults, *arguments.kw_defaults))
                self._in_function = True
                yield from body
            case ast.ClassDef(keywords=keywords, body=body):
                yield from (*keywords, *body)
            case ast.AnnAssign(value=value):
                yield from filter(None, (value,))
            case ast.Assign(value=ast.Call(args=arguments)) if self._reads_zero(node):
                yield from (argument for argument in arguments if isinstance(argument, ast.Attribute))
            case _:
                yield from ast.iter_child_nodes(node)

    def _change(self, node: ast.AST) -> None:
        match node:
            case ast.Constant(value=bool(value)):
                self._put(node, "boolean", str(not value))
            case ast.Constant(value=int(value)):
                others = {value + 1, value - 1, value ^ 1 << value.bit_length() // 2 if value > 9 else value + 1}
                for other in sorted(others - {-1}):
                    self._put(node, "constant", hex(other) if self._text(node).startswith("0x") else str(other))
            case ast.Attribute(value=owner, attr=name) if name in (members := self.enums.get(last_name(owner), [])):
                if len(members) > 1:
                    swapped = members[name == members[0]]
                    self._put(node, "enum member", f"{self._text(owner)}.{swapped}")
            case ast.UnaryOp(operand=operand):
                self._put(node, "operator removed", f"({self._text(operand)})")
            case ast.Compare(left=left, ops=kinds, comparators=rights):
                for before, kind, after in zip((left, *rights), kinds, rights, strict=False):
                    self._swap(kind, before, after)
            case ast.BoolOp(op=kind, values=values):
                for before, after in itertools.pairwise(values):
                    self._swap(kind, before, after)
            case ast.BinOp(op=kind, left=left, right=right):
                self._swap(kind, left, right)
            case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
                self._put(value, "return value", "None")
            case ast.Break() | ast.Continue():
                self._put(node, "loop control", "continue" if isinstance(node, ast.Break) else "break")
            case ast.AugAssign(op=kind, target=target, value=value):
                self._put(node, "statement removed", "pass")
                self._swap(kind, target, value)
            case ast.Raise() | ast.Return(value=None) | ast.AnnAssign(target=ast.Attribute(), value=ast.expr()):
                self._put(node, "statement removed", "pass")
            case ast.Expr(value=ast.Call() as call) if not self._is_kept(call):
                self._put(node, "statement removed", "pass")
            case ast.Assign(targets=targets, value=value):
                stores = all(isinstance(target, ast.Attribute | ast.Subscript) for target in targets)
                if stores or (last_name(value) in FIELD_MAKERS and not self._reads_zero(node)):
                    self._put(node, "statement removed", "pass")
            case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test) if not (
                isinstance(test, ast.Compare) or (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not))
            ):
                self._put(test, "condition negated", f"(not ({self._text(test)}))")

    def _reads_zero(self, node: ast.Assign) -> bool:
        """True for a field that is read-only, has no reset value and is named nowhere."""
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(args=args, keywords=keywords) as call):
                plain = last_name(call) in FIELD_MAKERS and "RO" in map(last_name, args)
                return plain and name not in self.named and all(keyword.arg != "reset" for keyword in keywords)
        return False

    def _span(self, node: ast.AST) -> tuple[int, int]:
        assert isinstance(node, ast.expr | ast.stmt)
        last, column = node.end_lineno or 0, node.end_col_offset or 0
        return self._starts[node.lineno - 1] + node.col_offset, self._starts[last - 1] + column

    def _text(self, node: ast.AST) -> str:
        return self.source[slice(*self._span(node))].decode()

    def _swap(self, kind: ast.AST, left: ast.AST, right: ast.AST) -> None:
        old, *others = SWAPS.get(type(kind), ("",))
        start = self.source.index(old.encode(), self._span(left)[1], self._span(right)[0])
        for new in others:
            self._put((start, start + len(old)), f"{old} to {new}", new)

    def _put(self, place: ast.AST | tuple[int, int], operator: str, new: str) -> None:
        start, end = place if isinstance(place, tuple) else self._span(place)
        line = self.source.count(b"\n", 0, start) + 1
        self.mutants.append(Mutant(self.path, line, operator, start, end, new, self._lines))


def find_mutants(targets: list[str], seed: int) -> list[Mutant]:
    """Give every mutant of the targets, in the order of the sample."""
    enums: dict[str, list[str]] = {}
    named: set[str] = set()
    for path in Path(PACKAGE).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Attribute):
                named.add(node.attr)
            elif isinstance(node, ast.ClassDef) and any(last_name(base).endswith("Enum") for base in node.bases):
                assigned = [item.targets[0] for item in node.body if isinstance(item, ast.Assign)]
                enums[node.name] = [target.id for target in assigned if isinstance(target, ast.Name)]
    by_line: dict[tuple[str, int], list[Mutant]] = defaultdict(list)
    for path in python_files(targets):
        finder = Finder(path.as_posix(), path.read_bytes(), enums, named)
        finder.visit(ast.parse(finder.source))
        for mutant in finder.mutants:
            by_line[mutant.path, mutant.line].append(mutant)
    chance = random.Random(seed)  # noqa: S311
    order = []
    for mutants in by_line.values():
        chance.shuffle(mutants)
        order += [(turn, chance.random(), mutant) for turn, mutant in enumerate(mutants)]
    return [mutant for _, _, mutant in sorted(order, key=lambda item: item[:2])]


def python_files(places: list[str]) -> list[Path]:
    """The sources in some folders (or the files themselves), in a fixed order."""
    return sorted({path for place in places for path in (Path(place), *Path(place).rglob("*.py")) if path.is_file()})


class Plugin:
    """Chooses and times the tests of a pytest run. `chosen` None runs all; the quickest of `seconds` come first."""

    def __init__(self, chosen: set[str] | None, seconds: dict[str, float]) -> None:
        self._chosen, self._seconds = chosen, seconds

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out and sort."""
        items[:] = [item for item in items if self._chosen is None or item.nodeid in self._chosen]
        items.sort(key=lambda item: self._seconds.get(item.nodeid, 0))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """While the baseline is measured: time a test, and note what it runs under its name."""
        start = time.perf_counter()
        if measuring := coverage.Coverage.current():
            measuring.switch_context(item.nodeid)
        result = yield
        if measuring:
            measuring.switch_context("")
            self._seconds[item.nodeid] = time.perf_counter() - start
        return result


@dataclass
class Baseline:
    """The unchanged tests: what each takes, and the tests that run each line of a file ("" is import)."""

    seconds: dict[str, float]
    tests_of: dict[str, dict[str, list[str]]]

    def tests_for(self, mutant: Mutant) -> set[str] | None:
        """The tests that can notice a mutant; None means all."""
        if mutant.lines is None:
            return None
        first, last = mutant.lines
        lines = self.tests_of.get(mutant.path, {})
        tests = {test for line in range(first, last + 1) for test in lines.get(str(line), ())}
        return None if "" in tests else tests


def measure(tests: list[str], targets: list[str]) -> Baseline:
    """Run the unchanged tests, in a fork. Raises: SystemExit if they fail."""
    answer = Path("../baseline.json")

    def work() -> int:
        seconds: dict[str, float] = {}
        measuring = coverage.Coverage(data_file=None, config_file=False, include=[f"{target}/*" for target in targets])
        with measuring.collect():
            code = pytest.main([*PYTEST, *tests], plugins=[Plugin(None, seconds)])
        data = measuring.get_data()
        lines = {os.path.relpath(name): data.contexts_by_lineno(name) for name in data.measured_files()}
        answer.write_text(json.dumps([seconds, lines]))
        return code

    pid = fork(work, limit_s=3600)
    if os.waitpid(pid, 0)[1]:
        raise SystemExit(f"the tests fail on the unchanged tree:\n{Path(f'../{pid}.log').read_text()[-3000:]}")
    return Baseline(*json.loads(answer.read_text()))


def try_mutant(mutant: Mutant, tests: list[str], chosen: set[str] | None, seconds: dict[str, float]) -> int:
    """Import a mutant and run the chosen tests, in a fork."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is not a failed test; the parent ends its forks
    source = mutant.apply(Path(mutant.path).read_bytes())
    name = ".".join(Path(mutant.path).with_suffix("").parts[1:]).removesuffix(".__init__")
    real = SourceFileLoader.get_code

    def get_code(self: SourceFileLoader, fullname: str) -> CodeType | None:
        return compile(source, self.path, "exec", dont_inherit=True) if fullname == name else real(self, fullname)

    SourceFileLoader.get_code = get_code  # type: ignore[assignment, method-assign]
    try:
        importlib.import_module(name)  # before pytest puts a loader of its own in front
    except Exception:  # noqa: BLE001 (a wrong table is refused, with whatever error)
        print("ERROR at import")
        return REFUSED
    files = tests if chosen is None else sorted({test.partition("::")[0] for test in chosen})
    return pytest.main([*PYTEST, "-x", *files], plugins=[Plugin(chosen, seconds)])


def fork(work: Callable[[], int], *, limit_s: float) -> int:
    """Do `work` in a fork, which exits with its result and writes to `../<pid>.log`; give its process id."""
    if pid := os.fork():
        return pid
    code = 70
    try:
        out = os.open(f"../{os.getpid()}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
        resource.setrlimit(resource.RLIMIT_CPU, (int(limit_s) + 5, int(limit_s) + 5))  # ends even if the parent is gone
        code = work()
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def fate(pid: int, code: int) -> tuple[str, str]:
    """What became of a mutant, and the test that noticed."""
    if code in (-signal.SIGKILL, -signal.SIGXCPU):
        return TIMEOUT, ""
    lines = Path(f"../{pid}.log").read_text(errors="replace").splitlines()
    by = [line.partition(" - ")[0] for line in lines if line.startswith(("FAILED ", "ERROR "))]
    noticed = code < 0 or code in NOTICED
    return KILLED if noticed else BROKEN if code else SURVIVED, by[0] if by else f"exit code {code}" if code else ""


def try_all(mutants: list[Mutant], baseline: Baseline, args: argparse.Namespace, note: Callable[..., None]) -> None:
    """Try the mutants, `args.jobs` at a time."""
    waiting = mutants[::-1]
    alive: dict[int, tuple[Mutant, float, float]] = {}
    try:
        while waiting or alive:
            while waiting and len(alive) < args.jobs:
                mutant = waiting.pop()
                chosen = baseline.tests_for(mutant)
                if chosen is not None and not chosen:
                    note(mutant, 0.0, UNTESTED, "")
                    continue
                limit_s = args.factor * sum(baseline.seconds[test] for test in chosen or baseline.seconds) + GRACE_S
                work = functools.partial(try_mutant, mutant, args.tests, chosen, baseline.seconds)
                alive[fork(work, limit_s=limit_s)] = mutant, time.monotonic(), limit_s
            time.sleep(0.01)
            for pid, (mutant, start, limit_s) in list(alive.items()):
                done, status = os.waitpid(pid, os.WNOHANG)
                seconds = time.monotonic() - start
                if done:
                    del alive[pid]
                    note(mutant, seconds, *fate(pid, os.waitstatus_to_exitcode(status)))
                elif seconds > limit_s:
                    os.kill(pid, signal.SIGKILL)
    finally:
        for pid in alive:
            os.kill(pid, signal.SIGKILL)


def enter_copy(tree: Path) -> None:
    """Copy the checkout, go there, import from there, and load what the forks share."""
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".*", "build", "dist", "__pycache__"))
    os.chdir(tree)
    checkout = {str(ROOT / folder) for folder in SOURCE_ROOTS}
    sys.path[:] = [str(tree / folder) for folder in SOURCE_ROOTS] + [path for path in sys.path if path not in checkout]
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # a fork has none of its parent's threads
    os.environ["PLX_LONG"] = "1"  # each property with all of its examples
    for name in PRELOAD:
        importlib.import_module(name)
    phases = hypothesis.Phase.explicit, hypothesis.Phase.generate  # no shrinking: nobody reads the example
    hypothesis.settings.register_profile("mutate", derandomize=True, database=None, phases=phases)
    hypothesis.settings.load_profile("mutate")
    gc.freeze()


def digest(places: list[str]) -> str:
    """Tell one state of the sources from another."""
    parts = (str(path).encode() + path.read_bytes() for path in python_files(places))
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def earlier(results: Path, state: dict[str, str]) -> dict[str, str]:
    """What an earlier run found that still holds, by the mutants' keys."""
    found: dict[str, str] = {}
    for line in results.read_text().splitlines() if results.exists() else ():
        row = json.loads(line)
        lasting = row["status"] in (KILLED, TIMEOUT) or row["tests"] == state["tests"]
        if row["sources"] == state["sources"] and lasting and row["status"] != BROKEN:
            found[row["key"]] = row["status"]
    return found


def report(mutants: list[Mutant], found: dict[str, str]) -> None:
    """Print what nobody noticed, then the score per file."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for mutant in sorted(mutants, key=lambda mutant: (mutant.path, mutant.start)):
        status = found[mutant.key]
        for row in (mutant.path, "all"):
            counts[row][status] += 1
        if status not in (KILLED, TIMEOUT):
            source = Path(mutant.path).read_bytes()
            old, new = (text.decode().splitlines() for text in (source, mutant.apply(source)))
            difference = difflib.unified_diff(old, new, n=0, lineterm="")
            print(f"{mutant.where}, {status}", *itertools.islice(difference, 3, None), "", sep="\n")
    table = Table("file", *STATES, "score, %")
    for path, count in sorted(counts.items(), key=lambda item: (item[0] == "all", item[0])):
        score = 100 * (count[KILLED] + count[TIMEOUT]) / max(1, count.total() - count[BROKEN])
        table.add_row(path, *(str(count[status]) for status in STATES), f"{score:.1f}")
    Console(width=110).print(table)


def main() -> int:
    """Sample, try, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", default=TARGETS, help="what to change (default: regs and model)")
    parser.add_argument("--tests", nargs="+", default=TESTS, help="folders of tests (default: regs, model, behaviour)")
    parser.add_argument("--sample", type=int, default=600, help="how many mutants, 0 for all (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="which ones (default %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (default %(default)s)")
    parser.add_argument("--factor", type=float, default=4, help="time limit over the tests' time (default %(default)s)")
    parser.add_argument("--results", type=Path, default=ROOT / "build/mutants.jsonl", help="JSON lines (%(default)s)")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the forks and the copy go too
    results = args.results.resolve()
    results.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mutate-") as scratch:
        enter_copy(Path(scratch, "tree"))
        every = find_mutants(args.targets, args.seed)
        mutants = every[: args.sample or None]
        state = {"sources": digest(args.targets), "tests": digest(args.tests)}
        found = earlier(results, state)
        waiting = [mutant for mutant in mutants if mutant.key not in found]
        print(f"{len(waiting)} of {len(mutants)} to try, out of {len(every)}; seed {args.seed}", file=sys.stderr)
        turn = itertools.count(len(mutants) - len(waiting) + 1)

        def note(mutant: Mutant, seconds: float, status: str, by: str) -> None:
            found[mutant.key] = status
            row = {"key": mutant.key, "operator": mutant.operator, "status": status, "by": by, "seconds": seconds}
            with results.open("a") as out:
                print(json.dumps(row | state), file=out)
            print(f"{next(turn):4} {status:8} {seconds:5.1f} s  {mutant.where}  {by}", file=sys.stderr)

        if waiting:
            try_all(waiting, measure(args.tests, args.targets), args, note)
        report(mutants, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
