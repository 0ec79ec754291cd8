"""Numbers printed in five teaching texts: probability and evaluation. (The texts' names:
test_texts.py.) DL101 prints no answers to its exercises; the right ones stand here."""

from __future__ import annotations

import math

import pytest

import lamina
from test_texts import T, values


def test_probabilities_and_their_distributions():
    d = lamina.distributions
    # DL101 example 3.3: P(D) = 0.05, P(S|D) = 0.8, P(S|not D) = 0.1; exercise 3.1 (no answer)
    for prior, hit, false, want in ((0.05, 0.8, 0.1, 0.296), (0.01, 0.95, 0.05, 0.161017)):
        joint = T([prior * hit, (1 - prior) * false])
        assert (joint[0] / joint.sum()).item() == pytest.approx(want, abs=5e-4)
    table = T([[0.3, 0.2], [0.1, 0.4]])  # example 3.2: hot, cold by high, low
    assert values(table.sum(1))[0] == 0.5 and values(table.sum(0)) == pytest.approx([0.4, 0.6])
    coin = d.Bernoulli(T(0.7))  # example 3.7
    assert (coin.mean.item(), coin.variance.item()) == pytest.approx((0.7, 0.21))
    # exercises of chapter 3: the book prints no answers
    wide = d.Uniform(T(0.0), T(2.0))
    assert 1 - wide.cdf(T(1.5)).item() == pytest.approx(0.25) and wide.mean.item() == 1
    heads = d.Binomial(10, T(0.5)).log_prob(T(7.0)).exp().item()
    assert heads == pytest.approx(120 / 1024)
    normal = d.Normal(T(50.0), T(5.0))
    within = normal.cdf(T(55.0)) - normal.cdf(T(45.0))
    assert within.item() == pytest.approx(0.682689, abs=5e-7)
    posterior = d.Beta(T(2.0 + 7), T(2.0 + 3))  # Beta(2, 2) after 7 heads of 10
    assert posterior.mean.item() == pytest.approx(9 / 14)


def test_rules_of_probability():
    # DL101 example 3.4: two coins; the second ace without putting back, after an ace or another
    assert T(0.5).square().item() == 0.25
    assert (T(3.0) / 51).item() == pytest.approx(0.058824, abs=5e-7)
    assert (T(4.0) / 51).item() == pytest.approx(0.078431, abs=5e-7)
    joint, a, b = T(0.12), T(0.3), T(0.4)  # exercise 3.4: independent
    assert (a * b).item() == pytest.approx(joint.item())
    given_b = T(0.8)  # exercise 3.6: P(A) = 0.6, P(B) = 0.4, P(A|B) = 0.8
    both = given_b * 0.4
    assert both.item() == pytest.approx(0.32)
    assert (both / 0.6).item() == pytest.approx(0.533333, abs=5e-7)
    red, heart = T(26.0), T(13.0)  # exercise 3.5: a heart, given a red card
    assert (heart / red).item() == 0.5


def test_markovs_bound():
    # DL101 exercise 3.17: P(X >= 2 E[X]) <= 1/2, reached by 0 and 2 E[X]; an exponential has e^-2
    x = lamina.distributions.Exponential(T(0.25))
    tail = 1 - x.cdf(2 * x.mean)
    assert tail.item() == pytest.approx(math.exp(-2)) and tail.item() <= 0.5
    extreme = T([0.0, 2.0])
    assert (extreme >= 2 * extreme.mean()).double().mean().item() == 0.5


def test_interval_of_an_accuracy():
    # DL101 exercise 11.7: Wilson's interval; 90 of 100, z = 1.96 (values not printed)
    n, p, z = 100, T(0.9), lamina.distributions.Normal(T(0.0), T(1.0)).icdf(T(0.975))
    assert z.item() == pytest.approx(1.96, abs=5e-5)
    z = 1.96
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (p * (1 - p) / n + z**2 / (4 * n**2)).sqrt()
    assert values(T([centre.item(), half.item()])) == pytest.approx([0.885204, 0.059568], abs=5e-5)
    ends = [(centre - half).item(), (centre + half).item()]
    assert ends == pytest.approx([0.825633, 0.944771], abs=5e-6)


def test_accuracy_of_a_rare_class():
    # DL101 examples 11.1 and 11.6: with 1 % (5 %) of a class, always saying no is right in 99 %
    # (95 %) and finds none
    from lamina import metrics

    for share in (0.01, 0.05):
        true = (lamina.arange(1000) < 1000 * share).long()
        none = lamina.zeros(1000, dtype=lamina.int64)
        found = []
        for metric in (metrics.Accuracy(), metrics.Recall(2, None)):
            metric.update(none, true)
            found.append(metric.compute())
        assert found[0] == pytest.approx(1 - share) and found[1][1].item() == 0
