"""The barrier between threads and the driver that runs a program's phases step after step, as LLVM text. Called by
emit_llvm.

The barrier's memory is int64: the count of arrived threads at 0 and the generation at 16, on lines of their own, and
from 32 on how rows are shared. The last thread to arrive sets the count back and opens the next generation; the others
look for it some 50 times, then give the processor away between looks, since another process may hold the thread that
they wait for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pellucid.compiler import llvm_shares
from pellucid.compiler.nest import Call, Kernel, Program
from pellucid.compiler.target import Target

_SPINS = 50
_PAUSES = {
    "x86_64": ("@llvm.x86.sse2.pause", ""),
    "aarch64": ("@llvm.aarch64.isb", "i32 15"),
    "arm64": ("@llvm.aarch64.isb", "i32 15"),
}

_BARRIER = """define internal void @barrier(ptr %barrier, i64 %threads, ptr %shares) noinline nounwind {{
entry:
  %gate = getelementptr i64, ptr %barrier, i64 16
  %old = load atomic i64, ptr %gate acquire, align 8
  %before = atomicrmw add ptr %barrier, i64 1 acq_rel
  %arrived = add i64 %before, 1
  %last = icmp eq i64 %arrived, %threads
  br i1 %last, label %all_there, label %look
all_there:
  %stays = icmp eq ptr %shares, null
  br i1 %stays, label %open, label %move
move:
  call void @move_shares(ptr %shares, i64 %threads)
  br label %open
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
    machine = target.triple.split("-")[0]
    pause = ""
    name, argument = _PAUSES.get(machine, ("", ""))
    if name:
        pause = f"  call void {name}({argument})\n"
        declarations.add(f"declare void {name}({argument.split(' ')[0]})")
    clock = llvm_shares.CLOCKS.get(machine)
    texts = [llvm_shares.moving(), _BARRIER.format(spins=_SPINS, pause=pause), *([clock] if clock else ())]
    return "\n\n".join([*texts, _drive(program, functions, clocked=clock is not None)]), declarations


def _drive(program: Program, functions: Mapping[Kernel, Function], clocked: bool) -> str:
    addresses = [a for phase in program.phases for call in phase for a in functions[call.kernel].addresses]
    lines = [
        "define i64 @drive(ptr %table, i64 %thread, i64 %threads, ptr %barrier, i64 %first, i64 %last) #0 {",
        "entry:",
        *_tables(len(addresses)),
        "ready:",
        "  %any = icmp slt i64 %first, %last",
        "  br i1 %any, label %count, label %end",
        "count:",
        "  %alone = icmp eq i64 %threads, 1",
        "  br i1 %alone, label %step_alone, label %meet",
        *_alone(program, functions),
        *_together(program, functions, clocked),
        "end:",
        "  %stop = phi i64 [ %first, %ready ], [ %next_alone, %step_alone ], [ %next, %done ]",
        "  %steps = sub i64 %stop, %first",
        "  ret i64 %steps",
        "}",
    ]
    return "\n".join([*_constants(addresses), "", *lines])


def _alone(program: Program, functions: Mapping[Kernel, Function]) -> list[str]:
    """The steps of a thread that has all rows and nobody to wait for."""
    lines = ["step_alone:", "  %s_alone = phi i64 [ %first, %count ], [ %next_alone, %step_alone ]"]
    start = 0
    for number, call in enumerate(call for phase in program.phases for call in phase):
        function = functions[call.kernel]
        lines += [
            f"  %table_alone{number} = getelementptr ptr, ptr %tables, i64 {start}",
            f"  call void @{function.name}(ptr %table_alone{number}, i64 0, i64 {call.extent}, i64 %s_alone)",
        ]
        start += len(function.addresses)
    return [
        *lines,
        "  %next_alone = add i64 %s_alone, 1",
        "  %again_alone = icmp slt i64 %next_alone, %last",
        "  br i1 %again_alone, label %step_alone, label %end",
    ]


def _together(program: Program, functions: Mapping[Kernel, Function], clocked: bool) -> list[str]:
    """The steps of one of several threads, which has some rows of each call and waits after each phase."""
    lines = [
        "meet:",
        "  %after = add i64 %thread, 1",
        *llvm_shares.found(),
        "  br label %step",
        "step:",
        "  %s = phi i64 [ %first, %meet ], [ %next, %done ]",
        *llvm_shares.turn(),
        f"  br label %{'phase0' if program.phases else 'done'}",
    ]
    number = start = 0
    for place, phase in enumerate(program.phases):
        lines += [f"phase{place}:", *llvm_shares.cuts(place)]
        rows: dict[Any, str] = {}
        for call in phase:
            if _share(call) not in rows:
                rows[_share(call)] = f"{place}_{len(rows)}"
                lines += llvm_shares.rows(rows[_share(call)], place, call)
        telling = llvm_shares.most_shared(phase) if clocked else None
        if telling is not None:
            lines += llvm_shares.clocked(place)
        for call in phase:
            function, share = functions[call.kernel], rows[_share(call)]
            lines += [
                f"  br i1 %some{share}, label %call{number}, label %called{number}",
                f"call{number}:",
                f"  %table{number} = getelementptr ptr, ptr %tables, i64 {start}",
                f"  call void @{function.name}(ptr %table{number}, i64 %lo{share}, i64 %hi{share}, i64 %s)",
                f"  br label %called{number}",
                f"called{number}:",
            ]
            number, start = number + 1, start + len(function.addresses)
        moved = "null"
        if telling is not None:
            moved = f"%moved{place}"
            lines += llvm_shares.told(place, rows[_share(telling)])
        after = f"phase{place + 1}" if place + 1 < len(program.phases) else "done"
        lines += [f"  call void @barrier(ptr %barrier, i64 %threads, ptr {moved})", f"  br label %{after}"]
    return [
        *lines,
        "done:",
        "  %next = add i64 %s, 1",
        "  %again = icmp slt i64 %next, %last",
        "  br i1 %again, label %step, label %end",
    ]


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
