"""A recorded run comes in; whether its counts are right leaves. `CostReport.verify` calls it.

Nothing here reads a declared cost but to compare it. The function runs once on real arrays, and what ran is compared
with what was counted; then each kind of operation is run with instruments at the shapes it has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pellucid._text import text
from pellucid.core.op import Cost
from pellucid.core.tensor import Tensor
from pellucid.graph import Graph, Instruction
from pellucid.graph.dtype import float_dtype
from pellucid.graph.ir import input_spec
from pellucid.graph.text import instruction_text
from pellucid.inspection.cost_instruments import counted_run
from pellucid.inspection.cost_recording import Run, recorded_with_values


@dataclass(frozen=True)
class Difference:
    """An operation whose count is not what an instrumented run found.

    operation : as a line of the graph.
    declared, found : (multiply-accumulates, plain operations, special functions); of an operation that ran and was not
        counted, or was counted and did not run, how often each was.
    """

    operation: str
    declared: tuple[int, ...]
    found: tuple[int, ...]


@dataclass(frozen=True)
class Audit:
    """What an audit of counts found.

    num_operations : operations that ran.
    num_kinds : how many of them differ in operation, shapes or attributes; each was run with instruments.
    methods : how many kinds each instrument counted.
    differences : counts that are not right.
    unaudited : operations for which there is no instrument.
    """

    num_operations: int
    num_kinds: int
    methods: dict[str, int]
    differences: tuple[Difference, ...]
    unaudited: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every count was audited and is right."""
        return not self.differences and not self.unaudited

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        key = "cost.audit-ok" if self.ok else "cost.audit-differs"
        facts = {"operations": f"{self.num_operations:,}", "kinds": self.num_kinds}
        lines = [text(key, **facts, count=len(self.differences) + len(self.unaudited))]
        lines += [f"  {text(f'cost.method-{name}')}: {count}" for name, count in self.methods.items()]
        lines += [f"  {d.operation}: {d.declared} ≠ {d.found}" for d in self.differences]
        lines += [f"  {name}: {text('cost.no-instrument')}" for name in self.unaudited]
        return "\n".join(lines)


def audited(
    run: Run,
    function: Callable[..., Any],
    examples: Sequence[Tensor],
    prepared: Callable[[Any], None] = lambda outline: None,
    settled: bool = True,
) -> Audit:
    """Compare the counts of a run with those of an instrumented one; the parameters are those of `recorded`."""
    real = recorded_with_values(function, examples, prepared, settled)
    differences = list(_not_the_same(run.graph, real.graph))
    methods: Counter[str] = Counter()
    unaudited: list[str] = []
    kinds: dict[Any, Instruction] = {}
    for instruction in real.graph.instructions:
        kinds.setdefault(_kind(instruction), instruction)
    with float_dtype(run.graph.float_dtype):
        for instruction in kinds.values():
            found = counted_run(instruction)
            if found is None:
                if instruction.op.name not in unaudited:
                    unaudited.append(instruction.op.name)
                continue
            method, counts = found
            methods[method] += 1
            declared = _declared(instruction)
            if tuple(declared) != counts:
                differences.append(Difference(instruction_text(instruction), tuple(declared), counts))
    return Audit(len(real.graph.instructions), len(kinds), dict(methods), tuple(differences), tuple(unaudited))


def _declared(instruction: Instruction) -> Cost:
    specs = [input_spec(x) for x in instruction.inputs]
    return instruction.op.cost(specs, instruction.output.spec, dict(instruction.attrs))


def _kind(instruction: Instruction) -> Any:
    specs = tuple(input_spec(x) for x in instruction.inputs)
    return instruction.op.name, specs, instruction.output.spec, repr(sorted(instruction.attrs.items(), key=str))


def _not_the_same(counted: Graph, ran: Graph) -> list[Difference]:
    """Operations that ran more or less often than they were counted. Copies are left out: whether NumPy's gradient is a
    view, which has to be copied, is known only when it is there, and a copy computes nothing."""
    lines = {_kind(i): instruction_text(i) for g in (ran, counted) for i in g.instructions if i.op.name != "positive"}
    a, b = (Counter(map(_kind, g.instructions)) for g in (counted, ran))
    return [Difference(lines[k], (a[k],), (b[k],)) for k in lines if a[k] != b[k]]
