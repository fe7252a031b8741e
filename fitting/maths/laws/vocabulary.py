"""Vocabulary size: ``L_u = -E + A1/N_nv^beta + A2/N_v^alpha2 + B/D^beta``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fitting.maths.types import (
    Columns,
    FloatArray,
    Law,
    LawInput,
    LawOption,
    LawParam,
    Objective,
    Options,
    Params,
    Published,
    Refusal,
    Review,
    Rows,
    Separable,
    Terms,
)

SOURCE = "Tao et al. 2024; sail-sg/scaling-with-vocab@6701cc2 optimal_Nv_predict.py"
MAX_VOCABULARY = 200_000.0
COMPRESSION = (0.00639222, -0.15811069, 1.20470122)
MIN_VOCABULARIES, MIN_OCTAVES, MAX_CORRELATION = 4, 2.0, 0.98


def count_tokens(characters: FloatArray, vocabulary: FloatArray, scale: float) -> FloatArray:
    """Return the tokens of a text: characters times ``f(V)``, V capped at 200,000.

    Parameters
    ----------
    characters : ndarray, length of the text
    vocabulary : ndarray, number of entries V
    scale : divides V; 1 is right, 1000 reproduces the released fit's unit error

    Returns
    -------
    ndarray of the broadcast shape, tokens

    References
    ----------
    Tao et al. 2024, arXiv 2407.13623; sail-sg/scaling-with-vocab@6701cc2
    """
    log_v = np.log(np.minimum(vocabulary, MAX_VOCABULARY) / scale)
    a, b, c = COMPRESSION
    tokens: FloatArray = characters * (a * log_v**2 + b * log_v + c)
    return tokens


def prepare(rows: Rows, options: Options) -> Rows | Refusal:
    """Add N_v = V d and the tokens; leave out rows below the least compute."""
    columns = dict(rows.columns)
    columns["n_vocabulary"] = columns["vocab_size"] * columns["embed_dim"]
    if "n_tokens" not in columns:
        scale = 1000.0 if options["as_released"] else 1.0
        columns["n_tokens"] = count_tokens(columns["characters"], columns["vocab_size"], scale)
    prepared = replace(rows, columns=columns)
    if "flops" not in columns:
        return prepared
    return prepared.take(columns["flops"] >= float(str(options["least_flops"])))


def refuse(rows: Rows, options: Options) -> Refusal | None:
    """Refuse plain cross-entropies, and vocabularies that move with the model."""
    if np.mean(rows.target > 0.0) > 0.5:
        return Refusal(
            "not_comparable",
            "the losses are positive: cross-entropies of different vocabularies are not comparable",
            "log the unigram-normalised loss L_u, or bits per byte",
        )
    if "n_tokens" not in rows.columns and "characters" not in rows.columns:
        return Refusal("missing_input", "needs n_tokens, or characters to count them from", "")
    vocabulary = rows.columns["vocab_size"]
    n_sizes = np.unique(vocabulary).size
    octaves = float(np.log2(vocabulary.max() / vocabulary.min()))
    if n_sizes < MIN_VOCABULARIES or octaves < MIN_OCTAVES:
        return Refusal(
            "span",
            f"{n_sizes} vocabularies over a factor {2**octaves:.3g}; the law needs "
            f"{MIN_VOCABULARIES} over a factor 4",
            "train with other vocabulary sizes",
        )
    sizes = np.log(vocabulary * rows.columns["embed_dim"])
    body = np.log(rows.columns["n_params_non_vocabulary"])
    if np.std(body) > 0 and abs(np.corrcoef(sizes, body)[0, 1]) > MAX_CORRELATION:
        return Refusal(
            "rank",
            "vocabulary and non-vocabulary parameters grow together: no sweep of V at fixed size",
            "sweep V at one model size",
        )
    return None


def make_terms(columns: Columns, options: Options) -> Terms:
    """Return the four terms; the size and the data share one exponent."""
    log_n = np.log(columns["n_params_non_vocabulary"] / 1e6)
    log_v, log_d = np.log(columns["n_vocabulary"] / 1e6), np.log(columns["n_tokens"] / 1e9)
    one, zero = np.ones_like(log_n), np.zeros_like(log_n)
    logs = np.array([[zero, zero], [zero, log_n], [log_v, zero], [zero, log_d]])
    return Terms(np.stack([-one, one, one, one]), logs)


def review(rows: Rows, params: Mapping[str, float], replicas: Params) -> Review:
    """Flag an exponent outside the bounds of the source."""
    if params["alpha2"] <= 1.0:
        return Review()
    return Review((f"alpha2 = {params['alpha2']:.3g} lies above 1, outside the source's bounds",))


def find_best_vocabulary(
    params: Mapping[str, float], n_non_vocabulary: float, embed_dim: float, flops: float
) -> float:
    """Return V*, the vocabulary of least L_u at fixed compute ``C = 6 (N_nv + V d) D``.

    Parameters
    ----------
    params : E, A1, A2, B, alpha2, beta
    n_non_vocabulary : parameters outside the vocabulary
    embed_dim : parameters per entry
    flops : the budget

    Returns
    -------
    number of entries

    Notes
    -----
    L_u compares vocabularies at the same text; tokens here are D = C / (6 (N_nv + V d)).

    References
    ----------
    Tao et al. 2024, arXiv 2407.13623; sail-sg/scaling-with-vocab@6701cc2
    """
    vocabulary = np.geomspace(256.0, 2e6, 20_001)
    n_v = vocabulary * embed_dim
    tokens = flops / (6.0 * (n_non_vocabulary + n_v))
    loss = params["A2"] * (n_v / 1e6) ** -params["alpha2"]
    loss = loss + params["B"] * (tokens / 1e9) ** -params["beta"]
    return float(vocabulary[np.argmin(loss)])


def design() -> dict[str, np.ndarray]:
    """Return six sizes x eight vocabularies x four token counts."""
    n, v, d = np.meshgrid(
        np.geomspace(3.3e7, 1.1e9, 6), np.geomspace(4e3, 9.6e4, 8), np.geomspace(1e9, 3e10, 4)
    )
    width = 512.0 * (n / 3.3e7) ** 0.4
    return {
        "n_params_non_vocabulary": n.ravel(),
        "vocab_size": v.ravel(),
        "embed_dim": width.ravel(),
        "n_vocabulary": (v * width).ravel(),
        "n_tokens": d.ravel(),
    }


LAW = Law(
    slug="vocabulary",
    title="Vocabulary size",
    formula="L_u = -E + A1/N_nv^beta + A2/N_v^alpha2 + B/D^beta (N/1e6, D/1e9)",
    tex=r"L_u = -E + A_1 N_{nv}^{-\beta} + A_2 N_v^{-\alpha_2} + B D^{-\beta}",
    inputs=(
        LawInput("n_params_non_vocabulary", "N_nv", "parameters", octaves=1.0),
        LawInput("vocab_size", "V", "tokens in the vocabulary"),
        LawInput("embed_dim", "d", "embedding width"),
        LawInput("characters", "H", "characters of training text", optional=True),
        LawInput("n_tokens", "D", "tokens; counted from characters if absent", optional=True),
        LawInput("flops", "C", "FLOPs, for the cut of small runs", optional=True),
    ),
    target=LawInput("loss_unigram", "L_u", "unigram-normalised loss, nats", positive=False),
    params=(
        LawParam("E", "limit, entering as -E", "nats", bound_has_meaning=True),
        LawParam("A1", "amplitude of the size term"),
        LawParam("A2", "amplitude of the vocabulary term", bound_has_meaning=True),
        LawParam("B", "amplitude of the data term"),
        LawParam("alpha2", "exponent of the vocabulary"),
        LawParam("beta", "exponent of size and data"),
    ),
    structure=Separable(
        ("E", "A1", "A2", "B"),
        ("alpha2", "beta"),
        (np.linspace(0.1, 1.6, 16), np.linspace(0.1, 1.0, 19)),
        make_terms,
    ),
    objective=Objective("huber", "linear", delta=1e-3),
    source=SOURCE,
    procedure="Sum of Huber losses of L_u; rows below 2.18e17 FLOPs dropped; N_v = V d.",
    pitfalls=(
        "The released fit evaluates f at V/1000, so its tokens are about three times too many; "
        "its exponents hold only with tokens counted so (option as_released).",
        "alpha2 is the least identified. Rows are checkpoints: resample runs.",
    ),
    options=(
        LawOption("delta", 1e-3, "Huber threshold", least=0.0, is_above=True),
        LawOption("as_released", False, "count tokens with the released unit error"),
        LawOption("least_flops", 2.18e17, "rows with less compute are dropped", least=0.0),
    ),
    published=(
        Published(
            "approach 3, with D counted as released",
            {
                "E": 5.53278,
                "A1": 1.83139,
                "A2": 0.195842,
                "B": 2.12411,
                "alpha2": 0.670737,
                "beta": 0.446606,
            },
            SOURCE,
        ),
    ),
    refuse=refuse,
    prepare=prepare,
    review=review,
    truth={"E": 5.537, "A1": 1.904, "A2": 0.129, "B": 1.331, "alpha2": 1.06, "beta": 0.440},
    design=design,
)
