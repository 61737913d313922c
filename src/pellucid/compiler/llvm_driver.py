"""The barrier between threads and the driver that runs a program's phases step after step, as LLVM text. Called by
emit_llvm.

The barrier's memory is 32 int64: the count of arrived threads at 0 and the generation at 16, on lines of their own. The
last thread to arrive sets the count back and opens the next generation; the others look for it some 50 times, then
give the processor away between looks, since another process may hold the thread that they wait for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pellucid.compiler.nest import Call, Kernel, Program
from pellucid.compiler.target import Target

_SPINS = 50
_PAUSES = {
    "x86_64": ("@llvm.x86.sse2.pause", ""),
    "aarch64": ("@llvm.aarch64.isb", "i32 15"),
    "arm64": ("@llvm.aarch64.isb", "i32 15"),
}

_BARRIER = """define internal void @barrier(ptr %barrier, i64 %threads) noinline nounwind {{
entry:
  %gate = getelementptr i64, ptr %barrier, i64 16
  %old = load atomic i64, ptr %gate acquire, align 8
  %before = atomicrmw add ptr %barrier, i64 1 acq_rel
  %arrived = add i64 %before, 1
  %last = icmp eq i64 %arrived, %threads
  br i1 %last, label %open, label %look
open:
  store atomic i64 0, ptr %barrier monotonic, align 8
  %next = add i64 %old, 1
  store atomic i64 %next, ptr %gate release, align 8
  ret void
look:
  %looks = phi i64 [ 0, %entry ], [ %more, %spin ], [ %more, %yield ]
  %now = load atomic i64, ptr %gate acquire, align 8
  %closed = icmp eq i64 %now, %old
  br i1 %closed, label %wait, label %through
wait:
  %more = add i64 %looks, 1
  %early = icmp slt i64 %looks, {spins}
  br i1 %early, label %spin, label %yield
spin:
{pause}  br label %look
yield:
  call void @pl_yield()
  br label %look
through:
  ret void
}}"""


class Function(NamedTuple):
    """What runs a kernel: the function's name and text, and the addresses that it is given, each the number of a buffer
    and a distance in bytes from where that begins."""

    name: str
    text: str
    addresses: tuple[tuple[int, int], ...]


def driver(program: Program, target: Target, functions: Mapping[Kernel, Function]) -> tuple[str, set[str]]:
    """The barrier and `drive`, and what they declare."""
    declarations = {"declare void @pl_yield()"}
    pause = ""
    name, argument = _PAUSES.get(target.triple.split("-")[0], ("", ""))
    if name:
        pause = f"  call void {name}({argument})\n"
        declarations.add(f"declare void {name}({argument.split(' ')[0]})")
    return _BARRIER.format(spins=_SPINS, pause=pause) + "\n\n" + _drive(program, functions), declarations


def _drive(program: Program, functions: Mapping[Kernel, Function]) -> str:
    lines = [
        "define i64 @drive(ptr %table, i64 %thread, i64 %threads, ptr %barrier, i64 %first, i64 %last) #0 {",
        "entry:",
        "  %alone = icmp eq i64 %threads, 1",
        "  %after = add i64 %thread, 1",
    ]
    calls = [call for phase in program.phases for call in phase]
    shares: dict[Any, int] = {}
    for call in calls:
        if _share(call) not in shares:
            shares[_share(call)] = len(shares)
            lines += _rows(shares[_share(call)], call)
    addresses = [a for call in calls for a in functions[call.kernel].addresses]
    lines += _tables(len(addresses))
    lines += [
        "ready:",
        "  %any = icmp slt i64 %first, %last",
        "  br i1 %any, label %step, label %end",
        "step:",
        "  %s = phi i64 [ %first, %ready ], [ %next, %done ]",
    ]
    number = start = 0
    for place, phase in enumerate(program.phases):
        for call in phase:
            function, rows = functions[call.kernel], shares[_share(call)]
            lines += [
                f"  br i1 %some{rows}, label %call{number}, label %called{number}",
                f"call{number}:",
                f"  %table{number} = getelementptr ptr, ptr %tables, i64 {start}",
                f"  call void @{function.name}(ptr %table{number}, i64 %lo{rows}, i64 %hi{rows}, i64 %s)",
                f"  br label %called{number}",
                f"called{number}:",
            ]
            number, start = number + 1, start + len(function.addresses)
        lines += _wait(f"phase{place}")
    lines += [
        "  br label %done",
        "done:",
        "  %next = add i64 %s, 1",
        "  %again = icmp slt i64 %next, %last",
        "  br i1 %again, label %step, label %end",
        "end:",
        "  %stop = phi i64 [ %first, %ready ], [ %next, %done ]",
        "  %steps = sub i64 %stop, %first",
        "  ret i64 %steps",
        "}",
    ]
    return "\n".join([*_constants(addresses), "", *lines])


def _constants(addresses: list[tuple[int, int]]) -> list[str]:
    """Which address each call is given, one call after the other."""
    size = max(len(addresses), 1)
    return [
        f"@{name} = internal constant [{size} x i64] [{', '.join(f'i64 {x}' for x in values or [0])}]"
        for name, values in (("numbers", [n for n, _ in addresses]), ("distances", [d for _, d in addresses]))
    ]


def _tables(size: int) -> list[str]:
    """The tables of addresses for all calls, one after the other."""
    return [
        f"  %tables = alloca [{max(size, 1)} x ptr], align 16",
        f"  br label %{'fill' if size else 'ready'}",
        *(_FILL.format(size=size).splitlines() if size else ()),
    ]


_FILL = """fill:
  %p = phi i64 [ 0, %entry ], [ %after_p, %fill ]
  %number_at = getelementptr i64, ptr @numbers, i64 %p
  %number = load i64, ptr %number_at, align 8
  %distance_at = getelementptr i64, ptr @distances, i64 %p
  %distance = load i64, ptr %distance_at, align 8
  %from = getelementptr ptr, ptr %table, i64 %number
  %whole = load ptr, ptr %from, align 8
  %part = getelementptr i8, ptr %whole, i64 %distance
  %to = getelementptr ptr, ptr %tables, i64 %p
  store ptr %part, ptr %to, align 8
  %after_p = add i64 %p, 1
  %more_p = icmp slt i64 %after_p, {size}
  br i1 %more_p, label %fill, label %ready"""


def _share(call: Call) -> Any:
    """What a thread's rows of a call depend on."""
    return call.extent, call.grain, call.shared, call.everyone


def _rows(n: int, call: Call) -> list[str]:
    """The rows lo up to hi of this thread, as nest.Call.rows has them."""
    if call.everyone or not call.shared:
        return [
            f"  %some{n} = icmp {'sge' if call.everyone else 'eq'} i64 %thread, 0",
            f"  %lo{n} = add i64 0, 0",
            f"  %hi{n} = add i64 {call.extent}, 0",
        ]
    units = -(-call.extent // call.grain)
    lines = []
    for name, thread in (("lo", "%thread"), ("hi", "%after")):
        lines += [
            f"  %{name}{n}_a = mul i64 {thread}, {units}",
            f"  %{name}{n}_b = udiv i64 %{name}{n}_a, %threads",
            f"  %{name}{n}_c = mul i64 %{name}{n}_b, {call.grain}",
            f"  %{name}{n}_d = icmp slt i64 %{name}{n}_c, {call.extent}",
            f"  %{name}{n} = select i1 %{name}{n}_d, i64 %{name}{n}_c, i64 {call.extent}",
        ]
    return [*lines, f"  %some{n} = icmp slt i64 %lo{n}, %hi{n}"]


def _wait(name: str) -> list[str]:
    return [
        f"  br i1 %alone, label %{name}, label %wait_{name}",
        f"wait_{name}:",
        "  call void @barrier(ptr %barrier, i64 %threads)",
        f"  br label %{name}",
        f"{name}:",
    ]
