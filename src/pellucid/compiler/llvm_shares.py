"""How threads share the rows of a phase, as LLVM text: evenly at first, then by how fast they turn out to be. Called by
`llvm_driver`; `native` makes the memory.

Behind the barrier's own numbers there are, for each phase: where each thread's rows begin and the last one's end, as
parts of 65,536; then what the threads last said, each of itself, how many rows it had and how long they took. They say
so in every fourth step of a call, and the last of them to arrive at the barrier moves the beginnings a quarter of the
way to where all would arrive at once: cores are not equally fast, and some rows are done by the first thread alone. No
result depends on who has which rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pellucid.compiler.nest import Call

FIRST = 32
"""Where the shares begin in the barrier's memory, which is int64."""
EVERY = 4
"""In the first of so many steps threads say how long they took; a power of two."""

_WHOLE = 1 << 16

_CYCLES = """declare i64 @llvm.readcyclecounter()
define internal i64 @now() alwaysinline nounwind {
  %now = call i64 @llvm.readcyclecounter()
  ret i64 %now
}"""
_COUNTER = """declare i64 @llvm.read_volatile_register.i64(metadata)
!counter = !{!0}
!0 = !{!"cntvct_el0"}
define internal i64 @now() alwaysinline nounwind {
  %now = call i64 @llvm.read_volatile_register.i64(metadata !0)
  ret i64 %now
}"""
CLOCKS = {"x86_64": _CYCLES, "aarch64": _COUNTER, "arm64": _COUNTER}
"""By machine, how `now` reads a counter that goes on at one pace on all cores. Elsewhere rows stay shared evenly."""

# A thread's speed is the rows that it had by the time they took. A beginning goes at most half of the way from where it
# is when rows are shared evenly to either end; where one had no rows, which says nothing of it, all are
# even again.
_MOVE = """define internal void @move_shares(ptr %cuts, i64 %threads) noinline nounwind {{
entry:
  %more = add i64 %threads, 8
  %width = and i64 %more, -8
  %rows = getelementptr i64, ptr %cuts, i64 %width
  %times = getelementptr i64, ptr %rows, i64 %width
  br label %sum
sum:
  %t = phi i64 [ 0, %entry ], [ %after, %sum ]
  %total = phi double [ 0.0, %entry ], [ %sums, %sum ]
  %known = phi i1 [ true, %entry ], [ %both, %sum ]
  %row_at = getelementptr i64, ptr %rows, i64 %t
  %row = load atomic i64, ptr %row_at monotonic, align 8
  %time_at = getelementptr i64, ptr %times, i64 %t
  %time = load atomic i64, ptr %time_at monotonic, align 8
  %some = icmp sgt i64 %row, 0
  %long = icmp sgt i64 %time, 0
  %told = and i1 %some, %long
  %both = and i1 %known, %told
  %row_f = sitofp i64 %row to double
  %time_f = sitofp i64 %time to double
  %speed = fdiv double %row_f, %time_f
  %sums = fadd double %total, %speed
  %after = add i64 %t, 1
  %again = icmp slt i64 %after, %threads
  br i1 %again, label %sum, label %shift
shift:
  %u = phi i64 [ 1, %sum ], [ %next, %shift ]
  %part = phi double [ 0.0, %sum ], [ %parts, %shift ]
  %before = sub i64 %u, 1
  %row_at2 = getelementptr i64, ptr %rows, i64 %before
  %row2 = load atomic i64, ptr %row_at2 monotonic, align 8
  %time_at2 = getelementptr i64, ptr %times, i64 %before
  %time2 = load atomic i64, ptr %time_at2 monotonic, align 8
  %row2_f = sitofp i64 %row2 to double
  %time2_f = sitofp i64 %time2 to double
  %speed2 = fdiv double %row2_f, %time2_f
  %parts = fadd double %part, %speed2
  %share = fdiv double %parts, %sums
  %aim_f = fmul double %share, {whole}.0
  %aim = fptosi double %aim_f to i64
  %cut_at = getelementptr i64, ptr %cuts, i64 %u
  %cut = load atomic i64, ptr %cut_at monotonic, align 8
  %way = sub i64 %aim, %cut
  %step = sdiv i64 %way, 4
  %moved = add i64 %cut, %step
  %even_n = mul i64 %u, {whole}
  %even = sdiv i64 %even_n, %threads
  %least = sdiv i64 %even, 2
  %most = add i64 %least, {half}
  %low = icmp slt i64 %moved, %least
  %lowest = select i1 %low, i64 %least, i64 %moved
  %high = icmp sgt i64 %lowest, %most
  %bound = select i1 %high, i64 %most, i64 %lowest
  %new = select i1 %both, i64 %bound, i64 %even
  store atomic i64 %new, ptr %cut_at monotonic, align 8
  %next = add i64 %u, 1
  %further = icmp slt i64 %next, %threads
  br i1 %further, label %shift, label %end
end:
  ret void
}}"""


def shares(phases: int, threads: int) -> list[int]:
    """The memory from FIRST on for threads that share all rows evenly."""
    even = [_WHOLE * t // threads for t in range(threads + 1)]
    return (even + [0] * (3 * _width(threads) - len(even))) * phases


def _width(threads: int) -> int:
    """How many numbers of each kind a phase has."""
    return (threads + 8) // 8 * 8


def moving() -> str:
    """The function that moves the beginnings of a phase."""
    return _MOVE.format(whole=_WHOLE, half=_WHOLE // 2)


def found() -> list[str]:
    """At the start of a run: where the first phase's shares are, and how far from there the next one's."""
    return [
        "  %more = add i64 %threads, 8",
        "  %width = and i64 %more, -8",
        "  %further = mul i64 %width, 3",
        f"  %shares = getelementptr i64, ptr %barrier, i64 {FIRST}",
    ]


def turn() -> list[str]:
    """At the start of a step: whether threads say in it how long they took."""
    return [
        "  %since = sub i64 %s, %first",
        f"  %turn = and i64 %since, {EVERY - 1}",
        "  %tells = icmp eq i64 %turn, 0",
    ]


def cuts(place: int) -> list[str]:
    """At the start of a phase: where this thread's rows begin and end."""
    lines = [
        f"  %distance{place} = mul i64 %further, {place}",
        f"  %cuts{place} = getelementptr i64, ptr %shares, i64 %distance{place}",
    ]
    for name, thread in (("lo", "%thread"), ("hi", "%after")):
        lines += [
            f"  %{name}_at{place} = getelementptr i64, ptr %cuts{place}, i64 {thread}",
            f"  %{name}_cut{place} = load atomic i64, ptr %{name}_at{place} monotonic, align 8",
        ]
    return lines


def rows(n: str, place: int, call: Call) -> list[str]:
    """The rows lo up to hi of a call that are this thread's."""
    if call.everyone or not call.shared:
        return [
            f"  %some{n} = icmp {'sge' if call.everyone else 'eq'} i64 %thread, 0",
            f"  %lo{n} = add i64 0, 0",
            f"  %hi{n} = add i64 {call.extent}, 0",
        ]
    lines = []
    for name in ("lo", "hi"):
        lines += [
            f"  %{name}{n}_a = mul i64 %{name}_cut{place}, {_units(call)}",
            f"  %{name}{n}_b = add i64 %{name}{n}_a, {_WHOLE // 2}",
            f"  %{name}{n}_c = lshr i64 %{name}{n}_b, {_WHOLE.bit_length() - 1}",
            f"  %{name}{n}_d = mul i64 %{name}{n}_c, {call.grain}",
            f"  %{name}{n}_e = icmp slt i64 %{name}{n}_d, {call.extent}",
            f"  %{name}{n} = select i1 %{name}{n}_e, i64 %{name}{n}_d, i64 {call.extent}",
        ]
    return [*lines, f"  %some{n} = icmp slt i64 %lo{n}, %hi{n}"]


def most_shared(phase: Sequence[Call]) -> Call | None:
    """The call whose rows are shared most finely; None where no two threads share any."""
    shared = [call for call in phase if call.shared and not call.everyone and _units(call) > 1]
    return max(shared, key=_units, default=None)


def _units(call: Call) -> int:
    return -(-call.extent // call.grain)


def clocked(place: int) -> list[str]:
    """Before the calls of a phase: look at the clock, where it is the threads' turn."""
    return [
        f"  br i1 %tells, label %look{place}, label %begin{place}",
        f"look{place}:",
        f"  %looked{place} = call i64 @now()",
        f"  br label %begin{place}",
        f"begin{place}:",
        f"  %from{place} = phi i64 [ 0, %phase{place} ], [ %looked{place}, %look{place} ]",
    ]


def told(place: int, n: str) -> list[str]:
    """After the calls of a phase: say how many rows of a call there were and how long all took, where it is the
    threads' turn; the barrier then gets the shares."""
    return [
        f"  br label %calls{place}",
        f"calls{place}:",
        f"  br i1 %tells, label %tell{place}, label %meet{place}",
        f"tell{place}:",
        f"  %to{place} = call i64 @now()",
        f"  %took{place} = sub i64 %to{place}, %from{place}",
        f"  %had{place} = sub i64 %hi{n}, %lo{n}",
        f"  %rows{place} = getelementptr i64, ptr %lo_at{place}, i64 %width",
        f"  %times{place} = getelementptr i64, ptr %rows{place}, i64 %width",
        f"  store atomic i64 %had{place}, ptr %rows{place} monotonic, align 8",
        f"  store atomic i64 %took{place}, ptr %times{place} monotonic, align 8",
        f"  br label %meet{place}",
        f"meet{place}:",
        f"  %moved{place} = phi ptr [ null, %calls{place} ], [ %cuts{place}, %tell{place} ]",
    ]
