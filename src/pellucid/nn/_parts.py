"""What a module is made of: its parameters, buffers and submodules, how they are registered, found and named. `Module`
derives from it; it knows nothing of calls.

The parts live in the module's own attributes; `_kinds` notes which of them are parts, in order of registration. So
reading `self.weight` costs no more than any attribute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pellucid.core.check import shown
from pellucid.core.other_names import OF_LAYERS, no_attribute
from pellucid.core.tensor import Tensor, to_array
from pellucid.errors import ArgumentError, ArgumentTypeError, ModelError, NoAttributeError, warn

if TYPE_CHECKING:
    from pellucid.nn.module import Module

P = TypeVar("P", bound="Parts")
Kind = Literal["parameter", "buffer", "temporary buffer", "module"]

# Counts registrations in all modules, so that a network knows when the names of its parts have to be worked out anew.
structure = 0


class _Values:
    """What `parameter.data = value` does, so that hand-written updates in PyTorch's manner work: a Tensor gives its
    array, and a backward pass through what was computed before is refused. Reading `.data` is that of any attribute.
    """

    def __set__(self, parameter: Tensor, value: Any) -> None:
        attributes = vars(parameter)
        before = attributes.get("data")
        attributes["data"] = array = to_array(value)
        if before is not None:
            if array.dtype.kind != before.dtype.kind:
                attributes["data"] = array.astype(before.dtype)
            parameter._note_write()


class Parameter(Tensor):
    """A Tensor that is trained: a Module that has it as an attribute lists it, saves it and hands it to the optimizer.

    Parameters
        data : Tensor, array or nested lists of numbers; shared, not copied.
        requires_grad : False for one that stays as it is.
        dtype : float32 or float64; None as for a Tensor.
    """

    if not TYPE_CHECKING:
        data = _Values()

    def __init__(self, data: Any, requires_grad: bool = True, dtype: Any = None) -> None:
        super().__init__(data, dtype, requires_grad)


_behaviour_changes = object()


def note_behaviour() -> None:
    """Something that `forward` may depend on has changed in a module."""
    global _behaviour_changes
    _behaviour_changes = object()  # no number: threads that count at once could come back to one that was there


# Attributes that hold what was worked out of others, in this process and for this object only.
OF_THIS_OBJECT = ("_named_at", "_lists", "_chain", "_entry", "_behaviour", "_compiled")


class Parts:
    """The parts of a module: everything about them that does not need a call."""

    training: bool
    # The name that the outermost network gave it; "" before, and for that network itself.
    _path = ""
    _named_at = -1
    # The lists of its parts, by kind, and the count of registrations they hold for.
    _lists: tuple[int, dict[Any, list[Any]]] | None = None
    _kinds: dict[str, Kind]
    _hooks: dict[int, Any]
    _pre_hooks: dict[int, Any]
    _hooked: bool
    # Names of attributes of which it was said that they hide parts.
    _warned: frozenset[str] = frozenset()
    # Names of weights that are computed: `parametrizations` holds what from.
    _parametrized: tuple[str, ...] = ()

    def __new__(cls: type[P], *args: Any, **kwargs: Any) -> P:
        # Here and not in __init__, so that a subclass that forgets super().__init__() is none the worse.
        module = object.__new__(cls)
        vars(module).update(training=True, _kinds={}, _hooks={}, _pre_hooks={}, _hooked=False)
        return module

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in OF_THIS_OBJECT}

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._parametrized:
            vars(self)["parametrizations"][name].assign(value)
        elif isinstance(value, Parameter):
            self._register(name, value, "parameter")
        elif isinstance(value, Parts):
            self._register(name, value, "module")
        elif name not in self._kinds:
            object.__setattr__(self, name, value)
            note_behaviour()
            if type(value) in _HIDE_PARTS and not name.startswith("_"):
                self._warn_if_hidden(name, value)
        elif value is None or (self._kinds[name].endswith("buffer") and isinstance(value, Tensor)):
            self._register(name, value, self._kinds[name])
        else:
            raise ArgumentTypeError(
                "nn.part-type", module=type(self).__name__, name=name, kind=self._kinds[name], type=type(value).__name__
            )

    def __delattr__(self, name: str) -> None:
        global structure
        if self._kinds.pop(name, None) is not None:
            vars(self).pop("_lists", None)
            structure += 1
        object.__delattr__(self, name)
        note_behaviour()

    def __getattr__(self, name: str) -> Any:
        if name in self._parametrized:
            return vars(self)["parametrizations"][name]()
        names = [] if name.startswith("__") else [n for n in dir(self) if not n.startswith("_")]
        raise no_attribute(type(self).__name__, name, names, OF_LAYERS)

    def _register_new(self, name: Any, value: Any, kind: Kind) -> None:
        """As `_register`, but a part keeps its kind: the name is probably taken by mistake."""
        before = self._kinds.get(name)
        if before is not None and before.split()[-1] != kind.split()[-1] and vars(self)[name] is not None:
            raise ArgumentError("nn.part-exists", module=type(self).__name__, name=name, before=before, kind=kind)
        self._register(name, value, kind)

    def _register(self, name: Any, value: Any, kind: Kind) -> None:
        global structure
        if not isinstance(name, str) or not name or "." in name:
            raise ArgumentError("nn.part-name", module=type(self).__name__, name=repr(name))
        if name in self._parametrized or (name not in self._kinds and hasattr(type(self), name)):
            raise ArgumentError("nn.part-name-taken", module=type(self).__name__, name=name)
        if kind == "module" and value is not None and any(m is self for m in value.modules()):
            raise ModelError("nn.cycle", module=type(self).__name__, name=name)
        if self._kinds.get(name, kind) != kind:
            del self._kinds[name]
        self._kinds[name] = kind
        vars(self)[name] = value
        vars(self).pop("_lists", None)  # what it had must not live on there
        structure += 1

    def register_parameter(self, name: str, value: Parameter | None) -> None:
        """Make `value` the parameter `name`; None keeps the name for a parameter that this instance does without."""
        if value is not None and not isinstance(value, Parameter):
            raise ArgumentTypeError(
                "nn.part-type", module=type(self).__name__, name=name, kind="parameter", type=type(value).__name__
            )
        self._register_new(name, value, "parameter")

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Make `tensor` part of the state that is not trained, such as running statistics; it changes by `.assign`.

        Parameters
            tensor : Tensor, array, numbers or None.
            persistent : whether `state_dict` holds it.
        """
        value = tensor if tensor is None or isinstance(tensor, Tensor) else Tensor(tensor)
        self._register_new(name, value, "buffer" if persistent else "temporary buffer")

    def add_module(self, name: str, module: Module | None) -> None:
        """Make `module` the submodule `name`."""
        if module is not None and not isinstance(module, Parts):
            raise not_a_module(type(self).__name__, name, module)
        self._register_new(name, module, "module")

    register_module = add_module

    # What it is made of

    def _own(self, *kinds: Kind) -> Iterator[tuple[str, Any]]:
        """Names and values of the module's own parts of these kinds; parts that are None are left out."""
        values = vars(self)
        for name, kind in list(self._kinds.items()):
            if kind in kinds and values[name] is not None:
                yield name, values[name]

    def named_modules(self, prefix: str = "", remove_duplicate: bool = True) -> Iterator[tuple[str, Module]]:
        """Name and module of itself (its name is `prefix`) and of everything inside it, each module once."""
        if prefix or not remove_duplicate:
            return _walk(self, prefix, set() if remove_duplicate else None)
        # Without itself: an object that holds itself outlives its last name.
        return iter([("", self), *self._listed("modules", lambda: islice(_walk(self, "", set()), 1, None))])

    def modules(self) -> Iterator[Module]:
        """Itself and every module inside it, each once."""
        for _, module in self.named_modules():
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Name and module of each direct submodule, each once."""
        seen: set[int] = set()
        for name, module in self._own("module"):
            if id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def children(self) -> Iterator[Module]:
        """The direct submodules, each once."""
        for _, module in self.named_children():
            yield module

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Full name and parameter of the module and, if `recurse`, of everything inside it; a shared one comes once."""
        return self._parts(("parameter",), prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters of the module and, if `recurse`, of everything inside it; a shared one comes once."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Full name and Tensor of each buffer, as `named_parameters`."""
        return self._parts(("buffer", "temporary buffer"), prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers of the module and, if `recurse`, of everything inside it."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def _parts(self, kinds: tuple[Kind, ...], prefix: str, recurse: bool, once: bool) -> Iterator[tuple[str, Any]]:
        self._ensure_names()
        if not recurse or not once or prefix:
            return self._found(kinds, prefix, recurse, once)
        return iter(self._listed(kinds, lambda: self._found(kinds, "", True, True)))

    def _listed(self, what: Any, find: Callable[[], Iterator[Any]]) -> list[Any]:
        """What `find` gives, which is asked for again and again by optimizers and training: it is looked for once."""
        known = self._lists
        if known is None or known[0] != structure:
            vars(self)["_lists"] = known = (structure, {})
        lists = known[1]
        if what not in lists:
            lists[what] = list(find())
        return lists[what]

    def _found(self, kinds: tuple[Kind, ...], prefix: str, recurse: bool, once: bool) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        for path, module in self.named_modules(prefix, once) if recurse else [(prefix, self)]:
            for name, value in module._own(*kinds):
                if not once or id(value) not in seen:
                    seen.add(id(value))
                    yield joined(path, name), value

    def _ensure_names(self) -> None:
        """Tell every part its full name, for errors, gradients and graphs; of a shared part the first name counts."""
        if self._named_at == structure:
            return
        named: set[int] = set()
        for path, module in self.named_modules(self._path):
            module._warn_of_hidden_parts()
            vars(module).update(_path=path, _named_at=structure)
            for name, value in module._own("parameter", "buffer", "temporary buffer"):
                if id(value) not in named:
                    named.add(id(value))
                    value.name = joined(path, name)

    def _warn_of_hidden_parts(self) -> None:
        for name, value in list(vars(self).items()):
            if type(value) in _HIDE_PARTS and not name.startswith("_") and name not in self._kinds:
                self._warn_if_hidden(name, value)

    def _warn_if_hidden(self, name: str, value: Any) -> None:
        """Warn once of layers and parameters that are attributes in a form in which they are no parts."""
        found = _parts_in(value)
        if not found or name in self._warned:
            return
        vars(self)["_warned"] = self._warned | {name}
        owner = type(self).__name__
        if isinstance(value, Tensor):
            warn("nn.hidden-tensor", module=owner, name=name, shape=value.shape)
            return
        items, container = (value.values(), "ModuleDict") if isinstance(value, dict) else (value, "ModuleList")
        fix = f"self.{name} = nn.{container}(...)" if all(isinstance(item, Parts) for item in items) else None
        warn("nn.hidden-parts", module=owner, name=name, type=type(value).__name__, suggestion=fix)

    def get_submodule(self, target: str) -> Module:
        """The module of a full name such as "encoder.0"; "" is the module itself.

        Raises
            NoAttributeError: there is none of that name.
        """
        module: Any = self
        for name in target.split(".") if target else ():
            module = module._part(name, "module")
        return module  # type: ignore[no-any-return]

    def get_parameter(self, target: str) -> Parameter:
        """The parameter of a full name such as "encoder.0.weight"."""
        path, _, name = target.rpartition(".")
        return self.get_submodule(path)._part(name, "parameter")  # type: ignore[no-any-return]

    def get_buffer(self, target: str) -> Tensor:
        """The buffer of a full name such as "encoder.1.running_mean"."""
        path, _, name = target.rpartition(".")
        return self.get_submodule(path)._part(name, "buffer", "temporary buffer")  # type: ignore[no-any-return]

    def _part(self, name: str, *kinds: Kind) -> Any:
        parts = dict(self._own(*kinds))
        if name not in parts:
            raise NoAttributeError(
                "nn.no-part", module=type(self).__name__, kind=kinds[0], name=name, options=", ".join(parts)
            )
        return parts[name]

    def num_parameters(self, trainable_only: bool = False) -> int:
        """How many numbers the parameters hold; with `trainable_only` those that ask for a gradient."""
        return sum(p.size for p in self.parameters() if p.requires_grad or not trainable_only)


def _walk(module: Any, path: str, seen: set[int] | None) -> Iterator[tuple[str, Module]]:
    if seen is not None:
        if id(module) in seen:
            return
        seen.add(id(module))
    yield path, module
    for name, child in module._own("module"):
        yield from _walk(child, joined(path, name), seen)


def joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def not_a_module(owner: str, place: str, value: Any) -> ArgumentTypeError:
    """The error for something that stands where a layer belongs, with the fix for the usual slips."""
    fix = None
    if isinstance(value, type) and issubclass(value, Parts):
        fix = f"{value.__name__}(...)"
    elif isinstance(value, list | tuple) and value and all(isinstance(v, Parts) for v in value):
        fix = f"{owner}(*layers)" if owner == "Sequential" else "ModuleList(layers)"
    return ArgumentTypeError("nn.not-a-module", owner=owner, place=place, given=shown(value), suggestion=fix)


_HIDE_PARTS = (Tensor, list, tuple, dict)
# A list of data may be long; among its first items are its layers, if any.
_MOST = 1000


def _parts_in(value: Any) -> list[Any]:
    """The modules and parameters in a list, tuple or dict, and in those inside it; of a Tensor itself, if it was
    given, not computed, and asks for a gradient."""
    if isinstance(value, Tensor):
        return [value] if value.requires_grad and value._source is None else []
    items = value.values() if isinstance(value, dict) else value
    found: list[Any] = []
    for item in islice(items, _MOST):
        if isinstance(item, Parts | Parameter):
            found.append(item)
        elif type(item) in (list, tuple, dict):
            found += _parts_in(item)
    return found
