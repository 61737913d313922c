"""Each rule of a graph is broken once; the error names the instruction."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest

import pellucid as pl
from pellucid import graph
from pellucid.core.op import REGISTRY
from pellucid.core.spec import Spec
from pellucid.errors import GraphError
from pellucid.graph import Captured, Instruction, Value, verify

F4 = np.dtype(np.float32)
W = pl.Tensor([1.0, 2.0, 3.0])


def recorded():
    return graph.record(lambda x: pl.relu(x * W).sum(), np.ones((2, 3), np.float32))


def value(identity, *shape, dtype=F4, name=""):
    return Value(identity, Spec(shape, np.dtype(dtype)), name)


def with_instruction(g, number, **changes):
    instructions = list(g.instructions)
    instructions[number] = replace(instructions[number], **changes)
    return replace(g, instructions=tuple(instructions))


def broken(g):
    with pytest.raises(GraphError) as caught:
        verify(g)
    return str(caught.value).split("\n  at:")[0].splitlines()


def test_a_recorded_graph_keeps_the_rules():
    g = recorded()
    assert [str(i.output) for i in g.instructions] == ["%2", "%3", "%4"]
    verify(g)


def test_used_before_defined():
    g = recorded()
    assert broken(with_instruction(g, 0, inputs=(g.instructions[2].output, 2.0))) == [
        "a value of the graph is used before it is defined",
        "  given:    %2: float32[2,3] = multiply(%4, 2.0)",
        "  expected: %4 as an input, a captured tensor or an earlier result",
    ]


def test_a_value_of_another_graph():
    g = recorded()
    assert broken(with_instruction(g, 0, inputs=(value(0, 2, 3), 2.0)))[0].startswith(
        "a value of the graph is used before"
    )


def test_defined_twice():
    g = recorded()
    assert broken(with_instruction(g, 1, output=value(2, 2, 3))) == [
        "a value of the graph is defined twice",
        "  given:    %2: float32[2,3] = relu(%2)",
        "  expected: an id that no other value has; 2 is taken",
    ]
    assert broken(replace(g, inputs=(value(0, 2, 3), value(0, 2, 3))))[0] == "a value of the graph is defined twice"


def test_two_tensors_of_one_name():
    g = recorded()
    captured = (*g.captured, Captured(value(99, 3, name="W"), W))
    assert broken(replace(g, captured=captured))[:2] == ["two tensors of the graph have one name", "  given:    W"]


def test_an_operation_that_is_not_registered():
    g = recorded()
    other = replace(REGISTRY["relu"], name="rectify")
    assert broken(with_instruction(g, 1, op=other)) == [
        "the graph has an operation that is not in the registry",
        "  given:    %3: float32[2,3] = rectify(%2)",
        "  expected: a registered operation in place of rectify",
    ]
    impostor = replace(REGISTRY["relu"])  # the name alone does not make it
    assert broken(with_instruction(g, 1, op=impostor))[0] == "the graph has an operation that is not in the registry"


@pytest.mark.parametrize("output", [value(3, 3, 2), value(3, 2, 3, dtype="f8"), value(3, 2)])
def test_a_result_of_another_shape_or_dtype(output):
    line = f"  given:    %3: {output.spec} = relu(%2)"
    g = recorded()
    expected = f"  expected: float32[2,3], as its rule says; not {output.spec}"
    assert broken(with_instruction(g, 1, output=output)) == [
        "a result of the graph is not what its operation gives",
        line,
        expected,
    ]


def test_inputs_that_the_rule_refuses():
    g = recorded()
    bad = replace(g.instructions[0], inputs=(g.inputs[0], g.inputs[0]), op=REGISTRY["matmul"])
    lines = broken(replace(g, instructions=(bad, *g.instructions[1:])))
    assert lines[:2] == [
        "the shape rule of an operation refuses its inputs",
        "  given:    %2: float32[2,3] = matmul(%x, %x)",
    ]
    assert "matmul: inner axes differ" in lines[2]
    assert broken(with_instruction(g, 2, attrs={"axis": "x", "keepdims": False}))[0] == lines[0]
    assert broken(with_instruction(g, 1, inputs=()))[0] == lines[0]


def test_attributes_that_an_operation_has_not():
    g = recorded()
    assert broken(with_instruction(g, 1, attrs={"slope": 1}))[:2] == [
        "an operation of the graph has attributes that it does not know",
        "  given:    slope: %3: float32[2,3] = relu(%2, slope=1)",
    ]


def test_inputs_that_are_no_values():
    g = recorded()
    assert broken(with_instruction(g, 0, inputs=(g.inputs[0], "two")))[0] == (
        "an operation of the graph has an input that is neither a value nor a number"
    )


def test_gradients_stopped_where_there_is_no_input():
    assert broken(with_instruction(recorded(), 1, stopped=(1,)))[0] == (
        "an operation of the graph stops the gradient of an input that it has not"
    )


def test_outputs_and_updates_that_do_not_exist_or_fit():
    g = recorded()
    w, out = g.captured[0].value, g.instructions[1].output
    assert broken(replace(g, outputs=[value(50)])) == [
        "a value of the graph is used before it is defined",
        "  given:    return %50",
        "  expected: %50 as an input, a captured tensor or an earlier result",
    ]
    assert broken(replace(g, updates=((w, value(50, 3)),)))[1] == "  given:    %W <- %50"
    assert broken(replace(g, updates=((w, out),))) == [
        "an update has another shape or dtype than its tensor",
        "  given:    %W <- %3: float32[2,3]",
        "  expected: float32[3]",
    ]
    assert broken(replace(g, updates=((out, out),)))[0] == (
        "the graph updates something that is neither captured nor an input"
    )


def test_a_captured_tensor_that_changed_its_shape():
    g = recorded()
    captured = (Captured(g.captured[0].value, pl.zeros((4,))),)
    assert broken(replace(g, captured=captured)) == [
        "a captured tensor is not what the graph says",
        "  given:    %W: float32[4]",
        "  expected: float32[3]",
    ]


def test_a_graph_for_any_batch_is_checked_with_two_sizes():
    g = graph.record_batched(lambda x: pl.reshape(x, (x.shape[0] * 3,)), np.ones((1, 3), np.float32))
    verify(g)
    bad = Instruction(REGISTRY["reshape"], g.inputs, {"shape": (2, 3)}, value(1, 2, 3))
    assert broken(replace(g, instructions=(bad,), outputs=bad.output))[0] == (
        "the shape rule of an operation refuses its inputs"
    )


def test_a_copied_graph_keeps_the_rules():
    for g in (copy.deepcopy(recorded()), pickle.loads(pickle.dumps(recorded()))):  # noqa: S301
        verify(g)
        assert g.instructions[1].op is REGISTRY["relu"]
        assert graph.run(g, np.full((2, 3), 2.0, np.float32)).outputs == 24.0
