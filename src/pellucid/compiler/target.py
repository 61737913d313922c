"""The machine that code is written for: its name for LLVM, and the widths that the printer chooses by. `host` is this
machine; the others are what the tests write code for without running it. Called by native and by the printer's tests.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """A machine.

    triple, cpu, features : LLVM's names for it.
    vector_bytes : the width of a vector register.
    registers : how many of them there are.
    """

    triple: str
    cpu: str
    features: str
    vector_bytes: int
    registers: int

    @property
    def has_fma(self) -> bool:
        """Whether a product and a sum are one instruction; without it they are two, rounded twice."""
        return not self.triple.startswith("x86_64") or "+fma" in self.features.split(",")


def host() -> Target:
    """This machine, as LLVM sees it."""
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    triple = binding.get_process_triple()
    present = {name for name, there in features.items() if there}
    wide = "avx512f" in present
    vector_bytes = 64 if wide else 32 if "avx" in present else 16
    registers = 32 if wide or not triple.startswith(("x86_64", "i686", "i386")) else 16
    return Target(triple, binding.get_host_cpu_name(), features.flatten(), vector_bytes, registers)


NAMED = {
    "aarch64-linux": Target("aarch64-unknown-linux-gnu", "neoverse-n1", "+neon", 16, 32),
    "arm64-macos": Target("arm64-apple-macosx14.0.0", "apple-m1", "+neon", 16, 32),
    "haswell-windows": Target("x86_64-pc-windows-msvc", "haswell", "+avx,+avx2,+fma", 32, 16),
    "haswell-linux": Target("x86_64-unknown-linux-gnu", "haswell", "+avx,+avx2,+fma", 32, 16),
    "avx512-linux": Target("x86_64-unknown-linux-gnu", "skylake-avx512", "+avx512f,+avx512vl,+avx512dq,+fma", 64, 32),
    "generic-linux": Target("x86_64-unknown-linux-gnu", "x86-64", "", 16, 16),
}
"""Machines that code is written for by name."""
