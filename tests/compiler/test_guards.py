"""What a recording took for granted: it holds until Python would do something else, and only then."""

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn, optim
from pellucid.compiler.record import recorded
from tests.compiler.both_ways import X, Y, cross_entropy, network, step_of

SCALE = 2.0
CONSTANT = pl.Tensor([1.0, 2.0])


class Scene:
    """A step that depends on much, and its recording."""

    def __init__(self):
        self.model = network(dropout=0.2, normalized=True)
        self.optimizer = optim.Adam(self.model.parameters(), lr=0.1)
        self.frozen = pl.Tensor(np.ones((3,), "f4"))
        self.arguments = [pl.Tensor(X), pl.Tensor(Y)]
        usual = step_of(self.model, self.optimizer)

        def step(x, y):
            if CONSTANT.tolist()[0] > 0.5:
                x = x * SCALE
            return usual(x, y) + self.frozen.sum()

        self.guards = recorded(step, self.arguments).guards

    @property
    def holds(self):
        return self.guards.hold(self.arguments)


@pytest.fixture
def scene(monkeypatch):
    monkeypatch.setitem(globals(), "CONSTANT", pl.Tensor([1.0, 2.0]))
    monkeypatch.setitem(globals(), "SCALE", 2.0)
    return Scene()


def set_global(name, value):
    globals()[name] = value


ALLOWED = {
    "nothing": lambda s: None,
    "a learning rate": lambda s: s.optimizer.param_groups[0].update(lr=0.5),
    "both betas": lambda s: s.optimizer.param_groups[0].update(betas=(0.5, 0.6)),
    "values": lambda s: s.model[0].weight.data.__setitem__(..., 3.0),
    "another array": lambda s: setattr(s.model[0].weight, "data", np.ones((6, 5), "f4")),
    "an assignment": lambda s: s.model[0].weight.assign(pl.ones((6, 5))),
    "a used gradient": lambda s: used_gradient(s),
    "another argument": lambda s: s.arguments.__setitem__(0, pl.ones((8, 5))),
    "the same constant": lambda s: CONSTANT.data.__setitem__(0, 1.0),
    "the same number": lambda s: set_global("SCALE", float("2")),
}

REFUSED = {
    "a rate of nothing": lambda s: s.optimizer.param_groups[0].update(weight_decay=0.1),
    "an option": lambda s: s.optimizer.param_groups[0].update(amsgrad=True),
    "a mode": lambda s: s.model.eval(),
    "an attribute": lambda s: setattr(s.model[3], "p", 0.5),
    "a part": lambda s: setattr(s.model, "4", nn.Linear(6, 3)),
    "a parameter": lambda s: setattr(s.model[0], "weight", nn.Parameter(np.ones((6, 5), "f4"))),
    "a frozen parameter": lambda s: s.model[0].weight.requires_grad_(False),
    "a tensor that asks for a gradient": lambda s: s.frozen.requires_grad_(True),
    "a dtype": lambda s: s.model.double(),
    "a shape": lambda s: setattr(s.frozen, "data", np.ones((4,), "f4")),
    "a hook": lambda s: s.model[0].register_forward_hook(lambda module, args, output: output),
    "a gradient from before": lambda s: cross_entropy(s.model(X), Y).backward(),
    "a gradient of one": lambda s: setattr(s.model[0].weight, "grad", pl.ones((6, 5))),
    "state that is loaded": lambda s: s.optimizer.load_state_dict(s.optimizer.state_dict()),
    "state that is gone": lambda s: s.optimizer.state.clear(),
    "another group": lambda s: s.optimizer.add_param_group({"params": [pl.ones((2,))]}),
    "a constant that was looked at": lambda s: CONSTANT.data.__setitem__(0, 0.1),
    "a number": lambda s: set_global("SCALE", 3.0),
    "a name": lambda s: set_global("CONSTANT", pl.Tensor([1.0, 2.0])),
}


def used_gradient(scene):
    cross_entropy(scene.model(X), Y).backward()
    for p in scene.model.parameters():
        p._used_grad = p.grad


@pytest.mark.parametrize("name", ALLOWED)
def test_a_recording_holds(scene, name):
    assert scene.holds
    ALLOWED[name](scene)
    assert scene.holds


@pytest.mark.parametrize("name", REFUSED)
def test_a_recording_does_not_hold(scene, name):
    assert scene.holds
    REFUSED[name](scene)
    assert not scene.holds


def test_it_holds_again_when_all_is_as_it_was(scene):
    scene.model.eval()
    assert not scene.holds
    scene.model.train()
    assert scene.holds


def test_gradients_have_no_say_where_none_is_touched():
    model = network()
    guards = recorded(model, [pl.Tensor(X)]).guards
    cross_entropy(model(X), Y).backward()
    assert guards.hold([pl.Tensor(X)])


def test_a_parameter_that_is_not_used_has_a_say_too():
    model = network()
    model.register_parameter("more", nn.Parameter(np.ones(3, "f4")))
    guards, x = recorded(model, [pl.Tensor(X)]).guards, [pl.Tensor(X)]
    for asks in (True, False, True):
        model.more.requires_grad_(asks)
        assert guards.hold(x) is asks


def test_options_that_are_what_they_were_are_not_looked_at_again():
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    arguments = [pl.Tensor(X), pl.Tensor(Y)]
    guards, looks = recorded(step_of(model, optimizer), arguments).guards, []
    guards._of_options = [(lambda find=find: looks.append(1) or find(), found) for find, found in guards._of_options]
    assert guards.hold(arguments)
    count = len(looks)
    assert count > 0
    assert guards.hold(arguments)
    assert len(looks) == count
    optimizer.param_groups[0]["lr"] = 0.2  # nobody decides anything by it
    assert guards.hold(arguments)
    assert len(looks) == count
    optimizer.param_groups[0]["momentum"] = 0.8
    assert guards.hold(arguments)
    assert len(looks) == 2 * count
    optimizer.param_groups[0]["momentum"] = 0.0
    assert not guards.hold(arguments)
    assert not guards.hold(arguments)
    optimizer.param_groups[0]["momentum"] = 0.9
    assert guards.hold(arguments)
