"""What is computed from options is computed again when they have changed, and only then."""

import operator
from functools import partial

import numpy as np

from pellucid.compiler.options import Lifted, Options, of_options
from pellucid.core.setting import Setting, computed
from pellucid.core.tensor import wrap

GROUP = {"lr": 0.5, "betas": (0.5, 0.25), "names": ["a"]}


def option(group, name, decided=lambda find: None):
    return Setting(((id(group), name),), lambda: group[name], decided)


def known(options):
    """Whether these have been kept; they are now."""
    now = options.now()
    found = options.as_kept(now)
    options.keep(now)
    return found


def test_options_are_found_in_what_is_computed_from_them():
    group = dict(GROUP)
    lr = option(group, "lr")
    options = Options([(lr * 2.0 + lr).read, partial(computed, float, option(group, "betas"))])
    assert options.now() == [0.5, (0.5, 0.25)]
    assert [known(options), known(options)] == [False, True]
    group["lr"] = 0.25
    assert [known(options), known(options)] == [False, True]
    group["betas"] = (0.5, 0.5)
    assert [known(options), known(options)] == [False, True]


def test_what_can_change_and_stay_the_same_thing_is_not_kept():
    group = {"names": ["a"]}
    options = Options([partial(computed, len, option(group, "names"))])
    assert [known(options), known(options)] == [False, False]


def test_a_look_at_something_besides_options_is_told_apart():
    lr = option(GROUP, "lr")
    assert of_options(partial(computed, operator.gt, lr, 0.1))
    assert of_options(partial(computed, bool, lr * 2.0))
    assert not of_options(partial(computed, operator.gt, lr, wrap(np.float32(0.1))))
    assert not of_options(partial(computed, operator.eq, lr, [0.1]))
    assert not of_options(partial(bytes, b"a"))


def lifted(group, count):
    """Twice the rate, lifted, and how often it has been computed."""

    def doubled(x):
        count.append(1)
        return 2.0 * x

    lr = option(group, "lr")
    tensor = wrap(np.zeros((), "f4"))
    return tensor, Lifted([(tensor, Setting((doubled, lr.key), partial(computed, doubled, lr), lr.decided))])


def test_a_value_is_written_when_its_option_has_changed():
    group, count = {"lr": 0.5}, []
    tensor, settings = lifted(group, count)
    found = []
    for rate in (None, None, 0.25, None, float("nan"), None, 0.25):
        group.update({} if rate is None else {"lr": rate})
        settings.refresh()
        found.append(tensor.item())
    np.testing.assert_array_equal(found, [1.0, 1.0, 0.5, 0.5, np.nan, np.nan, 0.5])
    assert len(count) == 4


def test_a_value_that_others_have_overwritten_is_written_again():
    group, count = {"lr": 0.5}, []
    tensor, settings = lifted(group, count)
    settings.refresh()
    tensor.data[...] = 7.0
    settings.refresh()
    assert tensor.item() == 1.0
    tensor.data = np.zeros((), "f4")
    settings.refresh()
    assert tensor.item() == 1.0
