"""Networks behind callables: found wherever they are, measured in eval mode, given back as they were."""

import collections
import contextvars
import functools
import math
import threading
import types
import weakref

import numpy as np
import pytest
import torch
from torch import nn

from memhorizon.eval_mode import device_of_model, eval_mode, networks


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_eval_mode_gives_each_module_its_own_mode_back():
    net = nn.Sequential(nn.PReLU(), nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5)))
    net[1][0].eval()
    before = [module.training for module in net.modules()]

    def evaluate_and_fail():
        with eval_mode(net):
            assert not any(module.training for module in net.modules())
            assert not net(torch.ones(1, 2)).requires_grad
            raise KeyError

    with pytest.raises(KeyError):
        evaluate_and_fail()
    assert [module.training for module in net.modules()] == before
    assert torch.is_grad_enabled()
    with eval_mode(lambda x, index: x):
        assert not torch.is_grad_enabled()


class Dropping(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.drop = nn.Dropout(0.5)

    def forward(self, x, index):
        return self.drop(self.weight * x)


class Holder:
    __slots__ = ("net",)
    shared = Dropping()

    def __init__(self, net):
        self.net = net

    def __call__(self, x, index):
        return self.predict(x, index)

    def predict(self, x, index):
        return self.net(x, index)

    @staticmethod
    def of_all(x, index):
        return Holder.shared(x, index)


class Outer(nn.Module):
    """Keeps its network where torch does not look for it."""

    def __init__(self, net):
        super().__init__()
        self.kept = [net]

    def forward(self, x, index):
        return self.kept[0](x, index)


GLOBAL = Dropping()
BY_NAME = {"first": {"ema": GLOBAL}}


def asks_the_global(x, index):
    return GLOBAL(x, index)


def asks_by_name(x, index):
    def inner():
        return BY_NAME["first"]["ema"](x, index)

    return inner()


def decorated(function):
    @functools.wraps(function)
    def call(*args, **kwargs):
        return function(*args, **kwargs)

    return call


def function_with(net):
    function = decorated(lambda x, index: asks_the_global(x, index))
    function.net = net
    return function


WRAPPED = {
    "itself": lambda net: net,
    "lambda": lambda net: lambda x, index: net(x, index),
    "two lambdas": lambda net: (lambda f: lambda x, index: f(x, index))(lambda x, index: net(x, index)),
    "default": lambda net: lambda x, index, f=net: f(x, index),
    "keyword default": lambda net: lambda x, index, *, f=net: f(x, index),
    "partial": lambda net: functools.partial(lambda f, x, index: f(x, index), net),
    "partial by keyword": lambda net: functools.partial(lambda x, index, f: f(x, index), f=net),
    "bound method": lambda net: Holder(net).predict,
    "method of the network": lambda net: net.forward,
    "object": Holder,
    "list": lambda net: lambda x, index, nets=[[net]]: nets[0][0](x, index),
    "dictionary": lambda net: (lambda nets: lambda x, index: nets["ema"](x, index))({"ema": net}),
    "namespace": lambda net: (lambda box: lambda x, index: box.net(x, index))(types.SimpleNamespace(net=net)),
    "weak reference": lambda net: (lambda ref: lambda x, index: ref()(x, index))(weakref.ref(net)),
    "hidden in a network": Outer,
    "decorated": lambda net: decorated(lambda x, index: net(x, index)),
    "attribute of a function": function_with,
}
ELSEWHERE = {"global": asks_the_global, "global of globals": asks_by_name, "class": Holder.of_all}


@pytest.mark.parametrize("how", WRAPPED)
def test_a_network_behind_a_function_is_measured_in_eval_mode(how):
    net = Dropping()
    net.drop.eval()
    net.weight.requires_grad_(False)
    model = WRAPPED[how](net)
    assert any(net is part for network in networks(model) for part in network.modules())
    with eval_mode(model):
        assert not net.training
    assert (net.training, net.drop.training) == (True, False)  # each its own
    assert device_of_model(model) == torch.device("cpu")


@pytest.mark.parametrize("where", ELSEWHERE)
def test_a_network_that_code_names_is_measured_in_eval_mode(where):
    x = torch.ones(4, 100)
    index = torch.zeros(4, dtype=torch.int64)
    with eval_mode(ELSEWHERE[where]):
        assert torch.equal(ELSEWHERE[where](x, index), x)
    assert GLOBAL.training
    assert Holder.shared.training


def test_a_model_without_networks_has_none_and_lies_on_the_cpu():
    assert networks(lambda x, index: torch.sin(x)) == []
    assert networks(torch.sin) == []
    assert device_of_model(math.sin) == torch.device("cpu")


def test_a_search_of_many_objects_ends():
    circle = {"self": None, "many": [[i] for i in range(300_000)]}
    circle["self"] = circle
    assert networks(lambda x, index: circle) == []


def test_a_model_that_draws_while_it_is_measured_is_warned_about():
    def ask():
        with eval_mode(lambda x, index: x):
            nn.functional.dropout(torch.ones(3, 3), 0.5)

    with torch.random.fork_rng(), pytest.warns(UserWarning, match="model: drew random numbers"):
        ask()


class Keeper:
    """Holds the network where the search does not look."""

    net: nn.Module

    def __call__(self, x, index):
        return self.net(x)


def kept_by_the_class(net):
    return type("Kept", (Keeper,), {"net": net})()


def cached(net):
    held = {"net": net}
    get = functools.lru_cache(lambda: held.pop("net"))
    get()
    return lambda x, index: get()(x)


def of_the_thread(net):
    local = threading.local()
    local.net = net
    return lambda x, index: local.net(x)


def of_the_context(net):
    variable = contextvars.ContextVar("net")
    variable.set(net)
    return lambda x, index: variable.get()(x)


def in_an_array(net):
    array = np.empty(1, object)
    array[0] = net
    return lambda x, index: array[0](x)


HIDDEN = {
    "class attribute": kept_by_the_class,
    "deque": lambda net: (lambda held: lambda x, index: held[0](x))(collections.deque([net])),
    "keys": lambda net: (lambda held: lambda x, index: next(iter(held))(x))({net: 1}),
    "values": lambda net: (lambda held: lambda x, index: next(iter(held))(x))({1: net}.values()),
    "cache": cached,
    "thread": of_the_thread,
    "context": of_the_context,
    "array": in_an_array,
    "computed name": lambda net: lambda x, index: vars(HELD)["n" + "et"](x),
}
HELD = types.SimpleNamespace()


@pytest.mark.parametrize("how", HIDDEN)
def test_a_network_that_no_search_finds_is_measured_in_eval_mode(how):
    net = nn.Sequential(nn.BatchNorm1d(3), nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5)))
    net[1][0].eval()
    modes = [module.training for module in net.modules()]
    HELD.net = net
    model = HIDDEN[how](net)
    x = torch.randn(50, 3, generator=generator())
    with eval_mode(model):
        with eval_mode(model):
            model(x, torch.zeros(50, dtype=torch.int64))
        output = model(x, torch.zeros(50, dtype=torch.int64))
    # Running mean 0 and variance 1 are those of an untrained BatchNorm1d; eps = 1e-5 halves into a factor.
    torch.testing.assert_close(output, x / math.sqrt(1 + 1e-5), rtol=1e-6, atol=0.0)
    assert [module.training for module in net.modules()] == modes
    assert torch.equal(net[0].running_mean, torch.zeros(3))  # nothing was learned from what was measured
    assert not torch.nn.modules.module._global_forward_pre_hooks


def test_a_network_that_another_thread_trains_keeps_its_mode():
    net = nn.PReLU()
    with eval_mode(lambda x, index: x):
        other = threading.Thread(target=net, args=(torch.ones(1, 3),))
        other.start()
        other.join()
        assert net.training
