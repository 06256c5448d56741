# SPDX-License-Identifier: Apache-2.0
"""What the façades take for arguments: looked at in one place, by annotations, before anything is taken.

A NULL where a result is due, a length of 10.5, an MDL where an adapter is due: no driver that compiles and runs gets
that far, so these are mistakes of who plays the driver and raise `WrongArgument`. What a driver can do wrong is the
operations' matter, and goes to the verifier.
"""

import functools
import inspect
import types
from collections.abc import Callable
from typing import Any, NoReturn, ParamSpec, Protocol, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from nthal.types import Address, AddressKindError, Out
from nthal.windows import NtStatus

P = ParamSpec("P")
R = TypeVar("R")


class Table(Protocol):
    """A table of routines, which may end before the one that is called."""

    def offers(self, name: str) -> bool:
        """True if the table has the routine."""


T = TypeVar("T", bound=Table)


class WrongArgument(TypeError):
    """An argument is of a kind that the routine does not take; nothing happened."""


class ForeignObject(ValueError):
    """An adapter, MDL or list was used on a machine that did not make it; nothing happened."""


Check = Callable[[object], str | None]
"""Gives None for what is taken, else what is due in words."""


def _check_of(hint: object, leave: tuple[type, ...] = ()) -> Check:
    """Check that an annotation stands for; what it says of a kind in `leave` is not looked at."""
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        checks = [_check_of(one, leave) for one in inside]
        return lambda value: None if any(check(value) is None for check in checks) else checks[0](value)
    if hint is object:
        return lambda _: None
    if origin is not None and issubclass(origin, Callable):  # type: ignore[arg-type]  # an abstract class is one too
        return lambda value: None if callable(value) else "a routine"
    kind = origin or hint
    assert isinstance(kind, type), hint
    if issubclass(kind, leave):
        return lambda _: None
    if kind is bool or issubclass(kind, int):
        # BOOLEAN and the enumerations are numbers in C, and whole numbers do for them here.
        return lambda value: None if isinstance(value, int) else "a whole number"
    if kind is Out:
        number = inside == (int,)
        return lambda value: (
            "an Out() for what the routine writes"
            if not isinstance(value, Out)
            else f"an Out() of a whole number, not of {value.value!r}"
            if number and not isinstance(value.value, int | None)
            else None
        )
    return lambda value: None if isinstance(value, kind) else f"an object {kind.__name__}"


def checked(routine: Callable[P, R], leave: tuple[type, ...] = ()) -> Callable[P, R]:
    """Refuse arguments that are not what the routine's annotations say; kinds in `leave` are the routine's own matter.

    Raises: WrongArgument; AddressKindError for an address of another kind.
    """
    return cast("Callable[P, R]", _guarded(routine, None, leave))


def checked_module(names: dict[str, Any], leave: tuple[type, ...] = ()) -> None:
    """Do so for every routine of a façade, given its `globals()`: functions of its own with a capital first."""
    for name, routine in list(names.items()):
        if inspect.isfunction(routine) and routine.__module__ == names["__name__"] and name[0].isupper():
            names[name] = checked(routine, leave)


def checked_routines(table: type[T]) -> type[T]:
    """Refuse every routine of a class that its `offers` does not know, and wrong arguments of the others."""
    for name, member in list(vars(table).items()):
        if inspect.isfunction(member) and name[0].isupper():
            setattr(table, name, _guarded(member, table.offers))
    return table


def _guarded(
    routine: Callable[..., object], has: Callable[..., bool] | None, leave: tuple[type, ...] = ()
) -> Callable[..., object]:
    names = list(inspect.signature(routine).parameters)
    hints: dict[str, object] = {}
    checks: dict[str, Check] = {}

    @functools.wraps(routine)
    def call(*args: object, **kwargs: object) -> object:
        if not hints:  # not before the first call: annotations may name what stands further down
            hints.update(get_type_hints(routine))
            checks.update({name: _check_of(hint, leave) for name, hint in hints.items() if name != "return"})
        if has is not None and not has(args[0], routine.__name__):
            return NtStatus.NOT_SUPPORTED if hints["return"] is NtStatus else None
        for name, value in (*zip(names, args, strict=False), *kwargs.items()):
            due = checks[name](value) if name in checks else None
            if due is not None:
                refuse(f"{routine.__name__}: {name}", value, due)
        return routine(*args, **kwargs)

    return call


def refuse(what: str, value: object, due: str) -> NoReturn:
    """Say what is due instead. Raises: WrongArgument, AddressKindError."""
    shown = "NULL" if value is None else repr(value)
    words = f"{what} is {shown} where {due} is due"
    raise AddressKindError(words) if isinstance(value, Address) else WrongArgument(words)


def size_t(value: object, name: str) -> int:
    """Give a number of bytes as C's size_t has it. Raises: WrongArgument for what is no whole number."""
    if not isinstance(value, int) or value < 0:
        refuse(name, value, "a whole number, 0 or more,")
    return value


def check_fields(what: str, structure: object) -> None:
    """Refuse a dataclass whose members are not of their kinds. Raises: WrongArgument, AddressKindError."""
    kind: Any = type(structure)
    for name, check in _field_checks(kind):
        due = check(getattr(structure, name))
        if due is not None:
            refuse(f"{what}.{name}", getattr(structure, name), due)


@functools.cache
def _field_checks(kind: type[Any]) -> tuple[tuple[str, Check], ...]:
    return tuple((name, _check_of(hint)) for name, hint in get_type_hints(kind).items())
