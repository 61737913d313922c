"""The machine that code is written for."""

import pytest

pytest.importorskip("llvmlite")

from llvmlite import binding

from pellucid.compiler.target import NAMED, Target, host


def test_this_machine_is_one_that_llvm_knows():
    target = host()
    machine = binding.Target.from_triple(target.triple).create_target_machine(cpu=target.cpu, features=target.features)
    assert machine.triple == target.triple
    features = binding.get_host_cpu_features()
    if target.triple.startswith("x86_64"):
        assert target.vector_bytes == (64 if features.get("avx512f") else 32 if features.get("avx") else 16)
        assert target.registers == (32 if features.get("avx512f") else 16)
        assert target.has_fma == bool(features.get("fma"))
    else:
        assert target.vector_bytes == 16


def test_an_x86_without_fma_has_none():
    assert not NAMED["generic-linux"].has_fma
    assert Target("x86_64-unknown-linux-gnu", "x86-64", "+avx,+fma4", 32, 16).has_fma is False
    assert all(target.has_fma for name, target in NAMED.items() if name != "generic-linux")


def test_all_code_targets_exist():
    binding.initialize_all_targets()
    for target in NAMED.values():
        binding.Target.from_triple(target.triple)
