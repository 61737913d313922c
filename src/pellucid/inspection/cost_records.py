"""What `cost` returns: the work, memory and measured time of a network, layer by layer and in total, as plain records.
`report` and the command line print them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from pellucid._text import text
from pellucid._typing import Shape
from pellucid.core.spec import Spec

if TYPE_CHECKING:
    from pellucid.inspection.cost_audit import Audit

Bound = Literal["compute", "memory", "calls"]


@dataclass(frozen=True)
class Work:
    """What is to be done. Works add up.

    macs : multiply-accumulates of floats, in products of matrices and convolutions; each is two FLOPs.
    other_flops : all other additions, multiplications, divisions, comparisons and selections of floats, one FLOP each.
    special : exp, log, tanh, sqrt and their like of floats, and random numbers, one FLOP each.
    integer_ops : operations on whole numbers and booleans alone.
    read_bytes, written_bytes : of inputs and results, where each operation reads each of its inputs once and writes
        its result once. Views (reshape, transpose, slices) move nothing.
    operations : how many operations of the graph it is.
    """

    macs: int = 0
    other_flops: int = 0
    special: int = 0
    integer_ops: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    operations: int = 0

    @property
    def flops(self) -> int:
        """Operations on floats: 2 for each multiply-accumulate, and all others."""
        return 2 * self.macs + self.other_flops + self.special

    @property
    def ops(self) -> int:
        """Operations on numbers of any kind."""
        return self.flops + self.integer_ops

    @property
    def traffic_bytes(self) -> int:
        """Bytes read and written."""
        return self.read_bytes + self.written_bytes

    @property
    def intensity(self) -> float:
        """FLOPs for each byte that is moved; 0 where nothing is."""
        return self.flops / self.traffic_bytes if self.traffic_bytes else 0.0

    def __add__(self, other: Work) -> Work:
        return Work(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Work)))


@dataclass(frozen=True)
class Timing:
    """Times of one thing, run again and again.

    p50_s, p99_s : the time that half of the runs, and that 99 of 100, do not exceed.
    num_runs, num_warmup : runs that were timed, and runs before them that were not.
    """

    p50_s: float
    p99_s: float
    num_runs: int
    num_warmup: int


@dataclass(frozen=True)
class LayerTime:
    """What a layer took when its operations ran one by one in NumPy, and what it could not have been quicker than.

    compute_s, memory_s, calls_s : its FLOPs at the peak of the machine, its traffic at the machine's bandwidth, and
        as many calls as it has operations.
    """

    timing: Timing
    compute_s: float
    memory_s: float
    calls_s: float

    @property
    def bound(self) -> Bound:
        """What bounds it: the largest of the three."""
        times: dict[Bound, float] = {"compute": self.compute_s, "memory": self.memory_s, "calls": self.calls_s}
        return max(times, key=lambda name: times[name])


@dataclass(frozen=True)
class Machine:
    """What this machine reached in this process, with one thread's NumPy.

    peak_flops : FLOPs a second of a product of two matrices of `matrix_size` in the network's dtype.
    bandwidth : bytes a second, read and written, of a copy of `copy_bytes`.
    call_s : one operation on one number.
    """

    peak_flops: float
    bandwidth: float
    call_s: float
    matrix_size: int
    copy_bytes: int
    dtype: str

    @property
    def ridge(self) -> float:
        """FLOPs for each byte from which on the arithmetic and not the memory is the limit."""
        return self.peak_flops / self.bandwidth


@dataclass(frozen=True)
class Measured:
    """Times on this machine.

    eager : a call of the network as it is; with training a whole step.
    compiled : a call of what `pellucid.compile` makes of it; None where it was not asked for.
    tier : how the compiled one runs.
    planned_bytes : the memory that the compiler's plan sets aside for intermediate results.
    rows : the length of the first axis of the first input: what a call gets through.
    """

    eager: Timing
    compiled: Timing | None
    tier: str
    planned_bytes: int | None
    rows: int
    flops: int
    num_threads: int
    machine: Machine

    @property
    def latency(self) -> Timing:
        """The compiled call if there is one, else the call as it is."""
        return self.compiled or self.eager

    @property
    def throughput(self) -> float:
        """Rows a second."""
        return self.rows / self.latency.p50_s

    @property
    def achieved_flops(self) -> float:
        """FLOPs a second (FLOPS)."""
        return self.flops / self.latency.p50_s

    @property
    def share_of_peak(self) -> float:
        """Achieved FLOPS over those of the machine's product of matrices."""
        return self.achieved_flops / self.machine.peak_flops


@dataclass(frozen=True)
class LayerCost:
    """One layer: a module with what runs in it and in none of its submodules.

    path : its full name; "" for what runs in the network itself or, of a function, in no module.
    kind : its class, or the operations where that is not known.
    role : "layer"; "loss" or "optimizer" for these two; "outside" for what belongs to no layer.
    calls : how often it is called.
    output : shape of its last result; None where it computes nothing.
    parameters, trainable : numbers in its parameters, each counted where it is met first; those that are trained.
    parameter_bytes, buffer_bytes : bytes by dtype.
    forward, backward, update : its work in each part of a step.
    activations, activation_bytes : numbers in the results that it makes and others read.
    stored_bytes : bytes of its results that a backward pass reads; None without training.
    """

    path: str
    kind: str
    role: Literal["layer", "loss", "optimizer", "outside"] = "layer"
    calls: int = 0
    output: Shape | None = None
    parameters: int = 0
    trainable: int = 0
    parameter_bytes: dict[str, int] = field(default_factory=dict)
    buffer_bytes: dict[str, int] = field(default_factory=dict)
    forward: Work = field(default_factory=Work)
    backward: Work = field(default_factory=Work)
    update: Work = field(default_factory=Work)
    activations: int = 0
    activation_bytes: int = 0
    stored_bytes: int | None = None
    measured: LayerTime | None = None

    @property
    def work(self) -> Work:
        """Its work in all parts of a step."""
        return self.forward + self.backward + self.update

    @property
    def size_bytes(self) -> int:
        """Bytes of its parameters."""
        return sum(self.parameter_bytes.values())


@dataclass(frozen=True, eq=False)
class CostReport:
    """What a network costs; see `cost`.

    name : of the network.
    inputs : shapes and dtypes of what it was given.
    training : whether a whole step was counted: forward, loss, backward, update.
    layers : in the order in which they run; the totals are their sums.
    peak_activations, peak_activation_bytes : the largest set of activations that have to be there at once: what a
        layer reads, what it writes, and what others still need.
    peak_layer : the layer at which that is.
    total_activations, total_activation_bytes : the inputs and the results of all layers together.
    peak_live_bytes : the largest set of all intermediate results that have to be there at once when operations run
        one by one, scratch within layers and, with training, gradients included.
    stored_activations, stored_bytes : the values that the backward pass reads; None without training.
    from_values : whether it was recorded by a run on values, since Python looks at some: then it holds for such.
    measured : times on this machine, where `measure=True` asked for them.
    modules : the class of each module of the network by its name, of those that hold others too.
    """

    name: str
    inputs: tuple[Spec, ...]
    training: bool
    layers: tuple[LayerCost, ...]
    peak_activations: int
    peak_activation_bytes: int
    peak_layer: str
    total_activations: int
    total_activation_bytes: int
    peak_live_bytes: int
    stored_activations: int | None = None
    stored_bytes: int | None = None
    from_values: bool = False
    measured: Measured | None = None
    modules: Mapping[str, str] = field(default_factory=dict, repr=False)
    _audit: Callable[[], Audit] | None = field(default=None, repr=False)

    def _sum(self, name: str) -> int:
        return sum(getattr(layer, name) for layer in self.layers)

    @property
    def parameters(self) -> int:
        """Numbers in parameters; what several layers share is counted once."""
        return self._sum("parameters")

    @property
    def trainable(self) -> int:
        """Numbers in parameters that are trained."""
        return self._sum("trainable")

    @property
    def parameter_bytes(self) -> dict[str, int]:
        """Bytes of the parameters by dtype."""
        return _merged([layer.parameter_bytes for layer in self.layers])

    @property
    def buffer_bytes(self) -> dict[str, int]:
        """Bytes of buffers, such as running statistics, by dtype."""
        return _merged([layer.buffer_bytes for layer in self.layers])

    @property
    def size_bytes(self) -> int:
        """Bytes of the parameters."""
        return self._sum("size_bytes")

    @property
    def forward(self) -> Work:
        """The forward pass, with the loss where there is one."""
        return sum((layer.forward for layer in self.layers), Work())

    @property
    def backward(self) -> Work:
        """The gradients."""
        return sum((layer.backward for layer in self.layers), Work())

    @property
    def update(self) -> Work:
        """The optimizer's step."""
        return sum((layer.update for layer in self.layers), Work())

    @property
    def work(self) -> Work:
        """All of it."""
        return self.forward + self.backward + self.update

    @property
    def macs(self) -> int:
        return self.work.macs

    @property
    def flops(self) -> int:
        return self.work.flops

    @property
    def ops(self) -> int:
        return self.work.ops

    def layer(self, path: str) -> LayerCost:
        """The layer of a name.

        Raises
            MissingKeyError: there is none.
        """
        for layer in self.layers:
            if layer.path == path:
                return layer
        from pellucid.core.check import closest
        from pellucid.errors import MissingKeyError

        names = [layer.path for layer in self.layers if layer.path]
        raise MissingKeyError("cost.layer", name=path, network=self.name, suggestion=closest(path, names))

    def verify(self) -> Audit:
        """Audit the counts against an instrumented run.

        The network runs once for real on the inputs' shapes, and each operation that runs is compared with those that
        were counted. Then each operation, at the shapes it has here, is run with instruments that know nothing of its
        declared cost: contractions and convolutions on ones, so that the sum of the result is the number of products;
        scalar bodies on numbers that count what is done to them; reductions by the textbook.

        Returns
            Audit; `audit.ok` is whether all counts agree, `audit.differences` lists those that do not
        """
        if self._audit is None:
            from pellucid.errors import ModelError

            raise ModelError("cost.no-audit", name=self.name)
        return self._audit()

    def __str__(self) -> str:
        facts: dict[str, Any] = {
            "name": self.name,
            "inputs": ", ".join(map(str, self.inputs)),
            "parameters": f"{self.parameters:,}",
            "bytes": f"{self.size_bytes:,}",
            "macs": f"{self.macs:,}",
            "flops": f"{self.flops:,}",
            "other": f"{self.work.other_flops:,}",
            "special": f"{self.work.special:,}",
            "ops": f"{self.ops:,}",
            "peak": f"{self.peak_activations:,}",
            "peak_bytes": f"{self.peak_activation_bytes:,}",
            "layer": self.peak_layer or self.name,
            "total": f"{self.total_activations:,}",
            "total_bytes": f"{self.total_activation_bytes:,}",
            "traffic": f"{self.work.traffic_bytes:,}",
            "intensity": f"{self.work.intensity:.3g}",
        }
        lines = [text(f"cost.{key}", **facts) for key in ("head", "line-parameters", "line-work", "line-ops")]
        facts["live"] = f"{self.peak_live_bytes:,}"
        lines += [text(f"cost.{key}", **facts) for key in ("line-peak", "line-total", "line-live", "line-traffic")]
        if self.from_values:
            lines.append(text("cost.line-values"))
        if self.training:
            parts = {n: f"{getattr(self, n).macs:,}" for n in ("forward", "backward", "update")}
            lines.append(text("cost.line-parts", **parts))
            lines.append(
                text("cost.line-stored", stored=f"{self.stored_activations:,}", bytes=f"{self.stored_bytes:,}")
            )
        if self.measured is not None:
            m = self.measured
            lines.append(
                text(
                    "cost.line-latency",
                    p50=f"{m.latency.p50_s * 1e3:.3g}",
                    p99=f"{m.latency.p99_s * 1e3:.3g}",
                    tier=m.tier,
                    runs=m.latency.num_runs,
                    warmup=m.latency.num_warmup,
                    threads=m.num_threads,
                    throughput=f"{m.throughput:,.4g}",
                )
            )
            if m.planned_bytes is not None:
                lines.append(text("cost.line-planned", bytes=f"{m.planned_bytes:,}"))
            lines.append(
                text(
                    "cost.line-achieved",
                    achieved=f"{m.achieved_flops / 1e9:.3g}",
                    share=f"{100 * m.share_of_peak:.3g}",
                    peak=f"{m.machine.peak_flops / 1e9:.3g}",
                    bandwidth=f"{m.machine.bandwidth / 1e9:.3g}",
                )
            )
        return "\n".join(lines)


def _merged(parts: list[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in parts:
        for name, count in part.items():
            total[name] = total.get(name, 0) + count
    return total
