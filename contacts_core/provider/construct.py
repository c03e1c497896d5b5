"""Build frozen attrs objects quickly.

A frozen slotted class sets each field through ``object.__setattr__``, which is most of the cost of mapping a page of
contacts. `constructor` builds a mutable twin with the same slots and then makes it an instance of the frozen class;
validators and converters of the class do not run, so only mappings of already typed payloads may use it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T", bound=attrs.AttrsInstance)


def constructor(cls: type[T], **constants: object) -> Callable[..., T]:
    """Return a function that takes the fields of ``cls``, by keyword or position, and returns a frozen instance.

    Args:
        cls: A frozen attrs class with slots, made with ``weakref_slot=False``.
        **constants: Fields that are the same in every instance; the function does not take them. Instances share the
            values, so they must not be mutable.
    """
    names = [a.name for a in attrs.fields(cls)]
    twin: type[Any] = type(f"_{cls.__name__}", cls.__bases__, {"__slots__": tuple(names)})
    arguments = ", ".join(name for name in names if name not in constants)
    values = {name: f"constant_{name}" if name in constants else name for name in names}
    assignments = "\n    ".join(f"self.{name} = {value}" for name, value in values.items())
    source = f"def build({arguments}):\n    self = twin()\n    {assignments}\n    self.__class__ = cls\n    return self"
    scope: dict[str, Any] = {"twin": twin, "cls": cls} | {values[name]: value for name, value in constants.items()}
    exec(source, scope)  # noqa: S102 - made of attribute names of our own classes
    build: Callable[..., T] = scope["build"]
    return build
