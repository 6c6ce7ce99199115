"""The methods of embeddings classes, watched: those of classes that exist and of classes defined later, and put back exactly.

`Embeddings` has no callbacks, so its four methods are wrapped on every class that defines them. Static methods, and
asynchronous ones that are no coroutine functions, are left alone: the first do not know their object, and the others
begin their work before they are awaited.
"""

from __future__ import annotations

import functools
import inspect
import operator
import sys
import threading
import types
import weakref
from collections.abc import Iterator
from typing import Any, Final, Protocol

from langchain_core.embeddings import Embeddings

from langmeter.boundary import shield

METHODS: Final = ("embed_documents", "embed_query", "aembed_documents", "aembed_query")


class Watch(Protocol):
    """What runs around every call of a watched method."""

    def run(self, method: WatchedMethod, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a synchronous method."""

    async def arun(self, method: WatchedMethod, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call an asynchronous method."""


class WatchedMethod:
    """A method that is watched, has the attributes of the original function, and pickles like it.

    Classes of `__main__` are pickled by value (cloudpickle: Ray, Dask, Spark); a closure would drag a context variable
    along and fail. Reading it off a class gives the same object each time, as with a function.
    """

    def __init__(self, name: str, original: Any, watch: Watch, heir: type | None) -> None:
        # Attributes are asked of the original: a copy would grow stale (tenacity's `statistics`).
        functools.update_wrapper(self, original, updated=())
        self.name = name
        self.original = original
        self.watch = watch
        self.heir = heir
        """The class, where it had the method from a base that is no embeddings class itself."""
        self._call = watch.arun if inspect.iscoroutinefunction(original) else watch.run

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["original"], name)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """What the method returns, or a coroutine that does."""
        if not args:  # `Class.embed_query(self=model, text=…)`
            return self.original(**kwargs)
        return self._call(self, args[0], args[1:], kwargs)

    def __reduce__(self) -> str | tuple[Any, tuple[tuple[Any]]]:
        return self.__qualname__ if self._is_importable() else (operator.itemgetter(0), ((self.original,),))

    def call(self, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the method did before it was watched; bound by its own rules, for it may be another library's wrapper."""
        if self.heir is not None and self.heir in type(instance).__mro__:
            # As if it were not here: a class may put another base between this one and the one with the method.
            return getattr(super(self.heir, instance), self.name)(*args, **kwargs)
        return self.original.__get__(instance, type(instance))(*args, **kwargs)

    def _is_importable(self) -> bool:
        """Whether functions of this place are pickled by name. cloudpickle does not do so with `__main__`."""
        if self.__module__ == "__main__":
            return False
        try:
            return operator.attrgetter(self.__qualname__)(sys.modules[self.__module__]) is self
        except (AttributeError, KeyError):  # a class of a function, or one that is loaded no more
            return False


class EmbeddingClasses:
    """Watches the methods of every embeddings class, and of each that is defined meanwhile. Safe from any thread."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._watched: weakref.WeakSet[type] = weakref.WeakSet()
        self._hook: Any = None
        self._lock = threading.RLock()

    def watch_all(self) -> None:
        """Start: existing classes now, later ones as they are defined."""
        with self._lock:
            self._hook = classmethod(functools.partial(_defined, self._meet))
            Embeddings.__init_subclass__ = self._hook  # type: ignore[method-assign]  # on purpose
            for cls in _with_subclasses(Embeddings):
                self._meet(cls)

    def restore(self) -> None:
        """Put back what was there before; what somebody else has replaced meanwhile stays."""
        with self._lock:
            if self._hook is not None and vars(Embeddings).get("__init_subclass__") is self._hook:
                del Embeddings.__init_subclass__
            self._hook = None
            for cls in list(self._watched):
                for name in METHODS:
                    method = vars(cls).get(name)
                    if isinstance(method, WatchedMethod) and method.watch is self._watch:
                        delattr(cls, name) if method.heir is not None else setattr(cls, name, method.original)
            self._watched.clear()

    def after_fork_in_child(self) -> None:
        """Make the lock anew: another thread may have been defining a class."""
        self._lock = threading.RLock()

    def _meet(self, cls: type) -> None:
        with shield("embeddings class"), self._lock:
            if self._hook is None:
                return
            self._watched.add(cls)
            for name in METHODS:
                self._watch_method(cls, name)

    def _watch_method(self, cls: type, name: str) -> None:
        found = vars(cls).get(name)
        if isinstance(found, WatchedMethod) and found.heir not in (None, cls):
            found = None  # copied from a class that inherits it: `slots=True` makes a class anew
        heir = cls if found is None else None
        if heir is not None:
            found = _from_elsewhere(cls, name)
        if not _is_watchable(name, found) or (isinstance(found, WatchedMethod) and found.watch is self._watch):
            return
        try:
            setattr(cls, name, WatchedMethod(name, found, self._watch, heir))
        except (TypeError, AttributeError):  # a class written in C, or one that guards its attributes
            return


def _defined(meet: Any, cls: type, **kwargs: Any) -> None:
    """`Embeddings.__init_subclass__`: a class has been defined. What others do on that occasion is done too."""
    super(Embeddings, cls).__init_subclass__(**kwargs)  # type: ignore[misc]  # `cls` is a subclass: only those come here
    meet(cls)


def _with_subclasses(cls: type) -> Iterator[type]:
    seen: set[type] = {cls}
    waiting = [cls]
    while waiting:
        current = waiting.pop()
        yield current
        subclasses: list[type] = type.__subclasses__(current)
        for subclass in subclasses:
            if subclass not in seen:
                seen.add(subclass)
                waiting.append(subclass)


def _from_elsewhere(cls: type, name: str) -> Any:
    """The method that a class has from a base that is no embeddings class: nothing is watched there."""
    for base in cls.__mro__[1:]:
        if name in vars(base):
            return None if issubclass(base, Embeddings) else vars(base)[name]
    return None


def _is_watchable(name: str, found: Any) -> bool:
    if not callable(found) or not hasattr(type(found), "__get__") or isinstance(found, staticmethod | classmethod):
        return False
    if getattr(found, "__isabstractmethod__", False):
        return False
    return not name.startswith("a") or inspect.iscoroutinefunction(found)
