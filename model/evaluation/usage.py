"""Whole rankings in, which candidates they show out: is the catalogue used, or a few hubs of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, skew

from model.evaluation.order import Order

ROUNDING = 1e-9  # of sums of shares: candidates that differ by less were shown alike


@dataclass(frozen=True, slots=True)
class Usage:
    """How the first k of all queries spread over c candidates."""

    k: int
    shown: NDArray[np.float64]  # (c,) N_k: how many queries have candidate j among their first k
    skewness: float  # of N_k, the hubness of Radovanović et al. 2010 (JMLR 11, 2487); 0 of equal numbers
    coverage: float  # share of candidates that anyone is shown
    gini: float  # of N_k: 0 when all are shown alike, (c - 1) / c when all lists show one


def usage(order: Order, k: int) -> Usage:
    """Of the first k of each query, each order of ties as likely as any other, queries apart."""
    among = np.clip(k - order.first, 0, order.last - order.first) / (order.last - order.first)
    candidates = order.candidate.shape[1]
    shown, unseen = np.zeros(candidates), np.ones(candidates)
    np.add.at(shown, order.candidate.ravel(), among.ravel())
    np.multiply.at(unseen, order.candidate.ravel(), 1 - among.ravel())
    return Usage(
        k=k,
        shown=shown,
        skewness=float(skew(shown)) if np.ptp(shown) > ROUNDING else 0.0,
        coverage=float(1 - unseen.mean()),
        gini=gini(shown),
    )


def random_usage(queries: int, candidates: int, k: int) -> tuple[float, float, float]:
    """Skewness, coverage and Gini to expect of independent random scores: N_k is binomial."""
    by_chance = binom(queries, min(k / candidates, 1.0))
    if by_chance.var() == 0:
        return 0.0, 1.0, 0.0
    below = by_chance.cdf(np.arange(queries))
    uneven = float((below * (1 - below)).sum() / by_chance.mean())  # E|x - y| / (2 E x)
    return float(by_chance.stats("s")), float(1 - by_chance.pmf(0)), uneven


def gini(amounts: NDArray[np.float64]) -> float:
    """Mean absolute difference of two amounts over twice their mean; 0 where there is nothing.

    Args:
        amounts: (c,) >= 0.
    """
    ascending = np.sort(amounts)
    count, total = len(ascending), float(ascending.sum())
    if total == 0:
        return 0.0
    weights = 2 * np.arange(1, count + 1) - count - 1
    return float(weights @ ascending / (count * total))


def popularity_lift(used: Usage, popularity: NDArray[np.float64]) -> float:
    """Mean popularity of what is shown over that of what there is: above 1 the popular is favoured.

    Args:
        used: of c candidates.
        popularity: (c,) such as the number of training pairs with the candidate's track, not all 0.
    """
    return float(used.shown @ popularity / used.shown.sum() / popularity.mean())
