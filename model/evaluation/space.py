"""Vectors with labels in, a flat map of them and how well labels keep together out: Figs. 5 and 7.

A map by t-SNE shows whatever one hopes for; so beside it stand two figures of the vectors themselves.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PCA_WIDTH = 50  # van der Maaten and Hinton 2008 (JMLR 9, 2579): reduce first, to lose noise and time
PERPLEXITY = 30.0
MOST_OF_A_CATEGORY = 1_000  # of the paper's Figs. 5 and 7
NEIGHBOURS = 10
SEED = 0


@dataclass(frozen=True, slots=True)
class Separation:
    """How far the labels of vectors keep together in their own space, by cosine."""

    silhouette: float  # Rousseeuw 1987: -1 to 1, 0 where labels lie mixed
    purity: float  # share of the nearest neighbours with the same label
    chance: float  # of `purity`, with labels dealt out anew


def drawn_rows(labels: NDArray[np.str_], most: int = MOST_OF_A_CATEGORY) -> NDArray[np.int64]:
    """Up to `most` rows of each label, drawn at random, ascending: (r,)."""
    rng = np.random.default_rng(SEED)
    chosen = [rng.permutation(np.flatnonzero(labels == name))[:most] for name in np.unique(labels)]
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def flat_map(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Lay vectors out in two dimensions by t-SNE, started from their principal components.

    One thread: sums in another order would be another picture.

    Args:
        vectors: (n, d), n >= 2.

    Returns:
        (n, 2).
    """
    from sklearn.decomposition import PCA  # scikit-learn takes a second to import and is only needed here
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

    x = np.asarray(vectors, np.float64)
    n, d = x.shape
    with threadpool_limits(1):
        if d > PCA_WIDTH and n > PCA_WIDTH:
            x = PCA(PCA_WIDTH, svd_solver="full").fit_transform(x)
        perplexity = min(PERPLEXITY, (n - 1) / 3)
        start = "pca" if min(x.shape) >= 2 else "random"
        laid = TSNE(2, perplexity=perplexity, init=start, random_state=SEED).fit_transform(x)
    return np.asarray(laid, np.float64)


def separation(vectors: NDArray[np.floating], labels: NDArray[np.str_]) -> Separation | None:
    """Silhouette and purity of the neighbourhood; None unless there are several labels, and more vectors.

    Args:
        vectors: (n, d), none of them 0.
        labels: (n,).
    """
    from sklearn.metrics import silhouette_score

    names, label, counts = np.unique(labels, return_inverse=True, return_counts=True)
    n = len(labels)
    if not 2 <= len(names) < n:
        return None
    x = np.asarray(vectors, np.float64)
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    closeness = x @ x.T
    np.fill_diagonal(closeness, -np.inf)
    neighbours = min(NEIGHBOURS, n - 1)
    nearest = np.argpartition(-closeness, neighbours - 1, axis=1)[:, :neighbours]
    distances = np.maximum(1 - closeness, 0)
    np.fill_diagonal(distances, 0)
    return Separation(
        silhouette=float(silhouette_score(distances, label, metric="precomputed")),
        purity=float((label[nearest] == label[:, None]).mean()),
        chance=float((counts * (counts - 1)).sum() / (n * (n - 1))),
    )
