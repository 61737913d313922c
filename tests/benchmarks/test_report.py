from pathlib import Path

from benchmarks.kinds import Goal, Limit, Train
from benchmarks.processes import Side
from benchmarks.report import counted, section
from benchmarks.side import workload

WORK = Train(
    title="a network",
    sizes=(100, 100, 100),
    batch=50,
    rows=50,
    goals=(Goal("best", 2.0), Goal("torch eager", 2.0), Goal("jax", 1.0)),
    limits=(Limit("fit-2t", 1.2, of="fit-1t"), Limit("fit-1t", 1.0)),
    peak_share=0.5,
)


def side(label: str, seconds: list[float], foreign: list[float] | None = None) -> Side:
    library, configuration = label.split()
    work, name = (workload("product"), "product") if library == "numpy" else (WORK, "network")
    result = Side(work, name, library, configuration, Path(), seconds=seconds, version="1.0")
    result.foreign = foreign or [0.0] * len(seconds)
    return result


def test_disturbed_rounds_do_not_count_while_three_others_are_left() -> None:
    assert counted(side("torch eager-1t", [1, 2, 3, 40], [0, 0.08, 0, 0.09])) == [1, 2, 3]
    assert counted(side("torch eager-1t", [1, 2, 3, 40], [0, 0.5, 0, 0.09])) == [1, 2, 3, 40]


def test_medians_ratios_goals_and_the_share_of_the_peak() -> None:
    # 50·100·100·(3·2 - 1) multiply-adds are 5 MFLOP; 100 GFLOP/s do them in 50 µs.
    product = workload("product")
    text = section(
        [
            side("pellucid fit-2t", [100e-6, 110e-6, 90e-6]),
            side("pellucid fit-1t", [125e-6] * 3),
            side("torch eager-1t", [180e-6] * 3),
            side("torch compiled-1t", [300e-6] * 3, [0.5] * 3),
            side("numpy dot-1t", [product.flops / 80e9, product.flops / 100e9]),
        ],
        WORK,
    )
    assert "### network\n\nA network.\n" in text
    assert "| pellucid 1.0, fit-2t | 100 | 92 to 108 | 90 | 3 of 3 | 1.00 | 50% |" in text
    assert "| torch 1.0, eager-1t | 180 | 180 to 180 | 180 | 3 of 3 | 1.80 | 28% |" in text
    assert "| torch 1.0, compiled-1t | 300 ~ | 300 to 300 | 300 | 0 of 3 | 3.00 | 17% |" in text
    # The median of two times is their mean: 2/(1/80 + 1/100) = 88.9 GFLOP/s.
    assert "GFLOP/s, median and best: dot-1t 89 and 100." in text
    assert (
        "- Goal, the best peer: 2 times as long as pellucid: 1.80 (torch eager-1t against pellucid fit-2t), "
        "**not reached**." in text
    )
    assert "- Goal, jax: 1 times as long as pellucid: not measured." in text
    assert "- Goal, pellucid fit-2t: at most 1.2 times pellucid fit-1t: 0.8, reached." in text
    assert "- Goal, pellucid fit-1t: at most 1 s: 0.000125, reached." in text
    assert "- Goal, 50% of the peak: 50%, reached." in text
