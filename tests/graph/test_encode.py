"""A graph survives its document; a document that anybody may have written is refused by the part that is wrong."""

import copy
import json

import numpy as np
import pytest

import pellucid as pl
from pellucid import graph
from pellucid.errors import GraphError
from pellucid.graph.encode import from_document, to_document

W = pl.Tensor(np.arange(6, dtype=np.float32).reshape(3, 2))


def net(x):
    y = pl.clip(x @ W, min=-float("inf"), max=2.5)[..., None, ::-1][:, 0]
    return {"y": pl.softmax(y), "parts": [y.sum(1), (y * 2,)], "n": 3, "none": None}


def document():
    g = graph.record_batched(net, np.ones((1, 3), np.float32))
    return json.loads(json.dumps(to_document(g, [c.value.name for c in g.captured])))


DOCUMENT = document()


def test_a_graph_survives_its_document():
    g = from_document(DOCUMENT, {"W": W})
    assert to_document(g, ["W"]) == DOCUMENT
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    ours, eager = graph.run(g, x).outputs, net(pl.Tensor(x))
    assert list(ours) == ["y", "parts", "n", "none"]
    assert ours["y"].tobytes() == eager["y"].data.tobytes()
    assert ours["parts"][1][0].tobytes() == eager["parts"][1][0].data.tobytes()
    assert (ours["n"], ours["none"]) == (3, None)
    assert [s.name for s in g.instructions[-1].scope] == []


def test_updates_have_no_words():
    count = pl.zeros(())
    g = graph.record(lambda x: x * count.assign(count + 1), np.ones(3, np.float32))
    with pytest.raises(GraphError, match="a graph that changes state cannot be written to a file"):
        to_document(g, ["count"])


def at(path, value):
    """The document with one place set."""
    changed = copy.deepcopy(DOCUMENT)
    here = changed
    for step in path[:-1]:
        here = here[step]
    if value is KeyError:
        del here[path[-1]]
    else:
        here[path[-1]] = value
    return changed


FIRST = ("instructions", 0)

ATTACKS = [
    ((), None, "graph: None"),
    (("inputs",), KeyError, "graph: ['captured',"),
    (("more",), 1, "graph: ['captured',"),
    (("float_dtype",), "float16", "float_dtype: 'float16'"),
    (("float_dtype",), ["float32"], "float_dtype: ['float32']"),
    (("name",), 3, "name: 3"),
    (("inputs",), {}, "inputs: {}"),
    (("inputs", 0, "id"), -1, "inputs[0].id: -1"),
    (("inputs", 0, "id"), True, "inputs[0].id: True"),
    (("inputs", 0, "id"), "0", "inputs[0].id: '0'"),
    (("inputs", 0, "dtype"), "object", "inputs[0].dtype: 'object'"),
    (("inputs", 0, "dtype"), "complex64", "inputs[0].dtype: 'complex64'"),
    (("inputs", 0, "dtype"), ["float32"], "inputs[0].dtype: ['float32']"),
    (("inputs", 0, "shape"), [3.0], "inputs[0].shape: 3.0"),
    (("inputs", 0, "shape"), [-1], "inputs[0].shape: -1"),
    (("inputs", 0, "shape"), [2**60], f"inputs[0].shape: {2**60}"),
    (("inputs", 0, "shape"), [1] * 33, "inputs[0].shape: '33 axes'"),
    (("inputs", 0, "shape"), [{"batch": 0}], "inputs[0].shape: 0"),
    (("inputs", 0, "shape"), [{"batch": 1, "more": 2}], "inputs[0].shape: ['batch', 'more']"),
    (("inputs", 0, "shape"), [2**40], "%x: float32[1099511627776]"),
    (("captured", 0, "tensor"), "V", "captured[0]: V"),
    (("captured", 0, "id"), 0, "%W: float32[3,2]"),
    ((*FIRST, "op"), "os.system", "instructions[0]: os.system"),
    ((*FIRST, "op"), "__class__", "instructions[0]: __class__"),
    ((*FIRST, "op"), ["matmul"], "instructions[0].op: ['matmul']"),
    ((*FIRST, "inputs"), ["%0", "%77"], "instructions[0].inputs[1]"),
    ((*FIRST, "inputs"), ["%0", "%2"], "instructions[0].inputs[1]"),
    ((*FIRST, "inputs"), ["%0", "%²"], "instructions[0].inputs[1]: '%²'"),
    ((*FIRST, "inputs"), ["%0", "0"], "instructions[0].inputs[1]: '0'"),
    ((*FIRST, "inputs"), ["%0", None], "instructions[0].inputs[1]: None"),
    ((*FIRST, "inputs"), ["%0", [1]], "instructions[0].inputs[1]: [1]"),
    ((*FIRST, "inputs"), ["%0"], "= matmul(%x)"),
    ((*FIRST, "inputs"), ["%0"] * 50, "= matmul(%x, %x"),
    ((*FIRST, "attrs"), [], "instructions[0].attrs: []"),
    ((*FIRST, "attrs"), {"axis": 1}, "axis: %2"),
    ((*FIRST, "output", "id"), 0, "%0: float32[N,2]"),
    ((*FIRST, "output", "shape"), [{"batch": 1}, 3], "%2: float32[2,3] = matmul(%x, %W)"),
    ((*FIRST, "output", "dtype"), "float64", "%2: float64[2,2] = matmul(%x, %W)"),
    ((*FIRST, "stopped"), [2], "positions (2,) of %2"),
    ((*FIRST, "stopped"), [-1], "instructions[0].stopped: -1"),
    ((*FIRST, "scope"), [["a"]], "instructions[0].scope: ['a']"),
    ((*FIRST, "scope"), [[1, 1]], "instructions[0].scope: 1"),
    (("instructions", 1, "attrs", "max"), {"slice": [0, 1, 0]}, "instructions[1].attrs.max: {'slice'"),
    (("instructions", 1, "attrs", "max"), {"slice": [0, "a", 1]}, "instructions[1].attrs.max: {'slice'"),
    (("instructions", 1, "attrs", "max"), {"float": "1e5"}, "instructions[1].attrs.max: {'float'"),
    (("instructions", 1, "attrs", "max"), {"code": "1"}, "instructions[1].attrs.max: {'code'"),
    (("instructions", 1, "attrs", "max"), 10**30, "instructions[1].attrs.max: 1000"),
    (("instructions", 2, "attrs", "template"), "x", "index("),
    (("instructions", 2, "attrs", "template"), 5, "index("),
    (("instructions", 2, "attrs", "template"), ["array"], "index("),
    (("outputs",), "%99", "outputs"),
    (("outputs",), {"tuple": "%1"}, "outputs: {'tuple'"),
    (("outputs",), {"dict": [["a"]]}, "outputs: {'dict'"),
    (("outputs",), {"dict": [[1, "%1"]]}, "outputs: 1"),
]


def deep(levels):
    nest = []
    for _ in range(levels):
        nest = [nest]
    return nest


ATTACKS += [
    ((*FIRST, "inputs"), ["%0", deep(500)], "instructions[0].inputs[1]: '[[[...]]]'"),
    (("outputs",), {"tuple": [{"tuple": [{"tuple": deep(2)}]}]}, "outputs"),
]


@pytest.mark.parametrize(("path", "value", "found"), ATTACKS)
def test_a_wrong_part_is_named(path, value, found):
    with pytest.raises(GraphError) as caught:
        from_document(at(path, value) if path else value, {"W": W})
    assert found in caught.value.given or found in str(caught.value)


def test_the_whole_message_of_a_wrong_part_and_of_an_unknown_operation():
    with pytest.raises(GraphError) as caught:
        from_document(at((*FIRST, "output", "id"), 1.5), {"W": W})
    assert str(caught.value).split("\n  at:")[0].splitlines() == [
        "a part of the graph's document has the wrong form",
        "  given:    instructions[0].output.id: 1.5",
        "  expected: int, 0 .. 281474976710656",
    ]
    with pytest.raises(GraphError) as caught:
        from_document(at((*FIRST, "op"), "matmull"), {"W": W})
    assert str(caught.value).split("\n  at:")[0].splitlines() == [
        "the graph's document has an operation that this version does not know",
        "  given:    instructions[0]: matmull",
        "  expected: a registered operation; a newer pellucid may have more",
        "  fix:      did you mean matmul?",
    ]


def test_results_that_no_memory_holds_are_refused_before_they_are_computed():
    x = {"id": 0, "name": "x", "dtype": "float32", "shape": [{"batch": 1}, 2]}
    wide = {"id": 1, "name": "", "dtype": "float32", "shape": [2**31, {"batch": 1}, 2]}
    bomb = {
        "op": "broadcast_to",
        "inputs": ["%0"],
        "attrs": {"shape": [2**31, {"batch": 1}, 2]},
        "output": wide,
        "scope": [],
        "stopped": [],
    }
    top = {
        "name": "f",
        "float_dtype": "float32",
        "inputs": [x],
        "captured": [],
        "instructions": [bomb],
        "outputs": "%1",
    }
    with pytest.raises(GraphError) as caught:
        from_document(top, {})
    assert str(caught.value).split("\n  at:")[0].splitlines() == [
        "the graph's results for a single row are too large",
        "  given:    %1: float32[2147483648,1,2]",
        "  expected: at most 8589934592 bytes together",
    ]


def test_an_index_whose_result_is_said_to_be_small_takes_no_memory_to_refuse():
    import tracemalloc

    x = {"id": 0, "name": "x", "dtype": "float32", "shape": [{"batch": 1}, 10_000]}
    i = {"id": 1, "name": "i", "dtype": "int64", "shape": [100_000]}
    read = {
        "op": "index",
        "inputs": ["%0", "%1"],
        "attrs": {"template": ["array"]},
        "output": {"id": 2, "name": "", "dtype": "float32", "shape": [1]},
        "scope": [],
        "stopped": [],
    }
    top = {
        "name": "f",
        "float_dtype": "float32",
        "inputs": [x, i],
        "captured": [],
        "instructions": [read],
        "outputs": "%2",
    }
    tracemalloc.start()
    with pytest.raises(GraphError, match="a result of the graph is not what its operation gives"):
        from_document(top, {})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
