"""The compiled passes: logits, softmax, error and both gradients of some contexts at a time, fused, in numba.

Contexts lie along the last axis, the lanes, so that a vector instruction serves several of them and no hot loop sums
across a vector. A block of contexts is taken through all tokens while its numbers are in the cache: `e`, tokens x
block, is the only place where logits ever are. Logits are in bits: 2^z for e^z. Padding: rows of G and of e to a
multiple of 4 tokens and rows of F to an even dimension, with zeros; lanes with contexts of weight 0.

All kernels are in one file on purpose: numba's cache on disk notices a change of the file that a kernel is in, but of
no other. Sums may be reordered; NaN and infinity keep their meaning, so that divergence shows.
"""

import math
from typing import no_type_check

import numpy as np
from numba import njit, types
from numba.extending import overload

JIT = {"fastmath": {"reassoc", "contract", "arcp", "nsz", "afn"}, "nogil": True, "error_model": "numpy"}

LOG2E, LN2 = 1 / math.log(2), math.log(2)

# 2^r on [-1/2, 1/2]: in single precision Chebyshev's interpolant (relative error 1e-7), in double the Taylor series.
A0, A1, A2, A3, A4, A5 = map(
    np.float32, (1.0000000755, 0.6931471880, 0.2402210749, 0.0555035711, 0.0096760319, 0.0013390863)
)
# The polynomials below are written out: numba 0.68 warns of a loop in a function that it inlines this way.
TAYLOR = tuple(LN2**n / math.factorial(n) for n in range(13))

NEAR = {np.dtype(np.float32): 100.0, np.dtype(np.float64): 900.0}
"""Up to this size of the logits, in bits, no row's greatest logit need be taken off before 2^z."""


def pow2(x):  # type: ignore[no-untyped-def]
    """2^x to rounding; 2^−126 (double: 2^−1022) below that."""
    return np.exp2(x)


@overload(pow2, inline="always")
@no_type_check
def _pow2_of(x):
    def single(x):
        x = max(x, np.float32(-126.0))
        whole = np.floor(x + np.float32(0.5))
        r = x - whole
        y = ((((A5 * r + A4) * r + A3) * r + A2) * r + A1) * r + A0
        return y * np.int32((np.int32(whole) + np.int32(127)) << np.int32(23)).view(np.float32)

    def double(x):
        x = max(x, -1022.0)
        whole = np.floor(x + 0.5)
        r = x - whole
        y = TAYLOR[12]
        y = y * r + TAYLOR[11]
        y = y * r + TAYLOR[10]
        y = y * r + TAYLOR[9]
        y = y * r + TAYLOR[8]
        y = y * r + TAYLOR[7]
        y = y * r + TAYLOR[6]
        y = y * r + TAYLOR[5]
        y = y * r + TAYLOR[4]
        y = y * r + TAYLOR[3]
        y = y * r + TAYLOR[2]
        y = y * r + TAYLOR[1]
        y = y * r + TAYLOR[0]
        return y * np.int64((np.int64(whole) + np.int64(1023)) << np.int64(52)).view(np.float64)

    return single if x == types.float32 else double


@njit(inline="always", **JIT)
@no_type_check
def log2(x):
    """log2 of a normal double: the exponent, and the series of artanh for the mantissa in [1/√2, √2]."""
    bits = np.float64(x).view(np.int64)
    shifted = bits - np.int64(0x3FE6A09E667F3BCD)
    whole = shifted >> np.int64(52)
    m = np.int64(bits - (whole << np.int64(52))).view(np.float64)
    t = (m - 1.0) / (m + 1.0)
    q = t * t
    y = 1 / 21 + q / 23
    y = 1 / 19 + q * y
    y = 1 / 17 + q * y
    y = 1 / 15 + q * y
    y = 1 / 13 + q * y
    y = 1 / 11 + q * y
    y = 1 / 9 + q * y
    y = 1 / 7 + q * y
    y = 1 / 5 + q * y
    y = 1 / 3 + q * y
    return np.float64(whole) + 2 * LOG2E * t * (1 + q * y)


@njit(inline="always", **JIT)
@no_type_check
def logits(F, G, c, n, e):
    """Row c of e: the logits of token c in every lane; two or four dimensions at a time."""
    k = F.shape[0]
    if k % 4 == 2:
        a, b = G[c, 0], G[c, 1]
        for i in range(n):
            e[c, i] = F[0, i] * a + F[1, i] * b
    else:
        a, b, p, q = G[c, 0], G[c, 1], G[c, 2], G[c, 3]
        for i in range(n):
            e[c, i] = F[0, i] * a + F[1, i] * b + F[2, i] * p + F[3, i] * q
    for j in range(2 if k % 4 == 2 else 4, k, 4):
        a, b, p, q = G[c, j], G[c, j + 1], G[c, j + 2], G[c, j + 3]
        for i in range(n):
            e[c, i] += F[j, i] * a + F[j + 1, i] * b + F[j + 2, i] * p + F[j + 3, i] * q


@njit(inline="always", **JIT)
@no_type_check
def powers(e, c, top, total, mean, n):
    """Row c of e from z to 2^(z − top); adds it to `total`, and (z − top) 2^(z − top) to `mean`."""
    for i in range(n):
        z = e[c, i] - top[i]
        y = pow2(z)
        mean[i] += y * z
        e[c, i] = y
        total[i] += y


@njit(inline="always", **JIT)
@no_type_check
def softmax(F, G, tokens, n, e, top, total, mean, limit):
    """e = 2^(z − top), and its sums over the tokens; top is 0 unless a logit may exceed `limit`."""
    for i in range(n):
        top[i] = 0
        total[i] = 0
        mean[i] = 0
    if far(F, G, tokens, n, limit):
        for c in range(tokens):
            logits(F, G, c, n, e)
            for i in range(n):
                top[i] = e[c, i] if c == 0 else max(top[i], e[c, i])
        for c in range(tokens):
            powers(e, c, top, total, mean, n)
    else:
        for c in range(tokens):
            logits(F, G, c, n, e)
            powers(e, c, top, total, mean, n)


@njit(**JIT)
@no_type_check
def far(F, G, tokens, n, limit):
    """Whether max|f| max|g|, the bound of Cauchy and Schwarz on a logit, exceeds the limit (NaN counts as near)."""
    f = g = 0.0
    for i in range(n):
        size = 0.0
        for j in range(F.shape[0]):
            size += np.float64(F[j, i]) ** 2
        f = max(f, size)
    for c in range(tokens):
        size = 0.0
        for j in range(G.shape[1]):
            size += np.float64(G[c, j]) ** 2
        g = max(g, size)
    return f * g > limit * limit


@njit(inline="always", **JIT)
@no_type_check
def back(F, G, e, n, dF, dG):
    """dF = e G for the lanes of the block, into dF[:, :n], and dG += eᵀ F."""
    for j in range(dF.shape[0]):
        for i in range(n):
            dF[j, i] = 0
    for c in range(0, e.shape[0], 4):
        back_four(F, G, e, c, n, dF, dG)


@njit(inline="always", **JIT)
@no_type_check
def back_four(F, G, e, c, n, dF, dG):
    """What the tokens c to c + 3 add to dF and dG."""
    zero = e.dtype.type(0)
    for j in range(dG.shape[1]):
        a = b = p = q = zero
        for i in range(n):
            f = F[j, i]
            a += e[c, i] * f
            b += e[c + 1, i] * f
            p += e[c + 2, i] * f
            q += e[c + 3, i] * f
        dG[c, j] += a
        dG[c + 1, j] += b
        dG[c + 2, j] += p
        dG[c + 3, j] += q
    for j in range(dG.shape[1]):
        a, b, p, q = G[c, j], G[c + 1, j], G[c + 2, j], G[c + 3, j]
        for i in range(n):
            dF[j, i] += e[c, i] * a + e[c + 1, i] * b + e[c + 2, i] * p + e[c + 3, i] * q


@njit(inline="always", **JIT)
@no_type_check
def scaled(G, bits):
    """bits = G log2 e: with it logits come out in bits."""
    unit = G.dtype.type(LOG2E)
    for c in range(G.shape[0]):
        for j in range(G.shape[1]):
            bits[c, j] = G[c, j] * unit


@njit(inline="always", **JIT)
@no_type_check
def error_back(F, G, e, joint, codes, known, value, mask, n, scale, dF, dG):
    """e from powers to p(d) p̂(c given d) − p(d, c), and `back` of it: four rows at a time, while they are at hand.

    p(d, c) is p(mask) p(c) where c agrees with d, else 0.
    """
    tokens, zero = len(codes), e.dtype.type(0)
    for j in range(dF.shape[0]):
        for i in range(n):
            dF[j, i] = 0
    for first in range(0, e.shape[0], 4):
        for c in range(first, min(first + 4, tokens)):
            p, code = joint[c], codes[c]
            for i in range(n):
                pair = mask[i] * p if (code & known[i]) == value[i] else zero
                e[c, i] = e[c, i] * scale[i] - pair
        back_four(F, G, e, first, n, dF, dG)


@njit(inline="always", cache=True, **JIT)
@no_type_check
def workspace(k, G, width):
    """What a pass writes to: G in bits, e, three rows of lanes, dF, dG and the sum of dF over the contexts."""
    e, dF = np.zeros((G.shape[0], width), G.dtype), np.empty((k, width), G.dtype)
    return (
        np.empty_like(G),
        e,
        np.empty((3, width), G.dtype),
        dF,
        np.zeros((G.shape[0], k), G.dtype),
        np.zeros(k, G.dtype),
    )


@njit(cache=True, **JIT)
@no_type_check
def sweep(F, G, contexts, weight, joint, codes, step_size, first, last, limit, work):
    """One step in F for the blocks first to last, in place; adds to dG and the sum of dF, returns the loss in nats.

    Args:
        F: (blocks, k, lanes). G: (tokens, k). contexts: known bits, value bits and p(mask) of each lane. weight: p(d)
            of each lane. joint, codes: p(c) and the bits of each token. work: see `workspace`.
    """
    bits, e, row, dF, dG, moved = work
    top, total, mean = row[0], row[1], row[2]
    n, tokens, ln2 = F.shape[2], len(codes), F.dtype.type(LN2)
    scaled(G, bits)
    loss = 0.0
    for b in range(first, last):
        f, w = F[b], weight[b]
        softmax(f, bits, tokens, n, e, top, total, mean, limit)
        # −Σ p ln p̂ is the entropy of p̂, here in bits, plus the error's share of the logits, Σ f·dF
        part = 0.0
        for i in range(n):
            s = np.float64(total[i])
            part += np.float64(w[i]) * (log2(s) - mean[i] / s)
            total[i] = w[i] / total[i]
        error_back(f, bits, e, joint, codes, contexts[0][b], contexts[1][b], contexts[2][b], n, total, dF, dG)
        for j in range(dF.shape[0]):
            whole = F.dtype.type(0)
            for i in range(n):
                part += np.float64(f[j, i]) * np.float64(dF[j, i])
                step = dF[j, i] * ln2  # dF was made with G in bits
                whole += step
                f[j, i] -= step_size * step
            moved[j] += whole
        loss += LN2 * part
    return loss


@njit(cache=True, **JIT)
@no_type_check
def settle(F, G, dG, moved, step_size, biased):
    """The rest of a step, once every context has been seen: G, and with biases the shift that all contexts share."""
    for c in range(G.shape[0]):
        for j in range(dG.shape[1]):
            G[c, j] -= step_size * dG[c, j]
    if biased:
        for b in range(F.shape[0]):
            for j in range(dG.shape[1]):
                for i in range(F.shape[2]):
                    F[b, j, i] -= step_size * moved[j]


@njit(cache=True, **JIT)
@no_type_check
def descend(F, G, contexts, weights, joints, codes, step_size, biased, k, first, last, limit, losses):
    """Steps of gradient descent, one for each row of `losses`, for the replicates first to last, in place.

    Args:
        F: (replicates, blocks, k, lanes). G: (replicates, tokens, k). contexts, weights, joints, codes: see `sweep`.
        biased: every context's vector has a bias in common, which is trained too.
        losses: (steps, replicates), filled with the loss before each step, nats.
    """
    work = workspace(k, G[0], F.shape[3])
    dG, moved = work[4], work[5]
    for r in range(first, last):
        f, g, w, p = F[r], G[r], weights[r], joints[r]
        for step in range(losses.shape[0]):
            dG[:] = 0
            moved[:] = 0
            losses[step, r] = sweep(f, g, contexts, w, p, codes, step_size, 0, f.shape[0], limit, work)
            settle(f, g, dG, moved, step_size, biased)


@njit(inline="always", **JIT)
@no_type_check
def minibatch(F, bias, G, contexts, tokens, count, limit, work, X):
    """Gradient of a minibatch's mean loss, which it returns in nats: of the rows of F in dF (k, batch), of G in dG.

    Args:
        F: (contexts, k). bias: (k,), added to every row. G: (tokens, k), `count` of them real. X: (k, batch), room for
            the rows. work: see `workspace`; its last entry becomes the gradient of the bias.
    """
    bits, e, row, dF, dG, moved = work
    top, total, mean = row[0], row[1], row[2]
    n, batch, k = X.shape[1], len(contexts), dF.shape[0]
    for i in range(batch):
        for j in range(k):
            X[j, i] = F[contexts[i], j] + bias[j]
    scaled(G, bits)
    softmax(X, bits, count, n, e, top, total, mean, limit)
    share = F.dtype.type(1 / batch)
    loss = 0.0
    for i in range(batch):
        chosen = np.float64(-top[i])
        for j in range(k):
            chosen += np.float64(X[j, i]) * np.float64(bits[tokens[i], j])
        loss += log2(np.float64(total[i])) - chosen
    for i in range(n):
        total[i] = (share if i < batch else F.dtype.type(0)) / total[i]
    for c in range(count):
        for i in range(n):
            e[c, i] *= total[i]
    for i in range(batch):
        e[tokens[i], i] -= share
    dG[:] = 0
    back(X, bits, e, n, dF, dG)
    for j in range(k):
        whole = F.dtype.type(0)
        for i in range(n):
            dF[j, i] *= F.dtype.type(LN2)  # dF was made with G in bits
            whole += dF[j, i]
        moved[j] = whole
    return LN2 * loss / batch


@njit(inline="always", **JIT)
@no_type_check
def place(cumulative, guide, u):
    """The index at which u falls: the first whose cumulative probability exceeds it; guide says where to begin."""
    at = guide[int(u * len(guide))]
    while at < len(cumulative) - 1 and cumulative[at] <= u:
        at += 1
    return at


@njit(cache=True, **JIT)
@no_type_check
def pick(position, cumulative, guide, uniform, masks, contexts, tokens):
    """Which token a uniform number names, and the context that a mask makes of it, for one minibatch."""
    for i in range(len(uniform)):
        tokens[i] = place(cumulative, guide, uniform[i])
        contexts[i] = position[masks[i], tokens[i]]


@njit(cache=True, **JIT)
@no_type_check
def sgd(F, bias, G, draws, position, cumulative, guide, count, step_size, biased, limit, losses):
    """Steps of SGD for one replicate, in place, one for each row of the draws (uniform numbers, masks)."""
    uniform, masks = draws
    steps, batch = uniform.shape
    width = -(-batch // 16) * 16
    k = F.shape[1]
    work, X = workspace(k, G, width), np.zeros((G.shape[1], width), F.dtype)
    dF, dG, moved = work[3], work[4], work[5]
    contexts, tokens = np.empty(batch, np.int64), np.empty(batch, np.int64)
    for step in range(steps):
        pick(position, cumulative, guide, uniform[step], masks[step], contexts, tokens)
        losses[step] = minibatch(F, bias, G, contexts, tokens, count, limit, work, X)
        for i in range(batch):
            for j in range(k):
                F[contexts[i], j] -= step_size * dF[j, i]
        for c in range(count):
            for j in range(k):
                G[c, j] -= step_size * dG[c, j]
        if biased:
            for j in range(k):
                bias[j] -= step_size * moved[j]


@njit(inline="always", **JIT)
@no_type_check
def adapt(x, g, first, second, rate, root):
    """Adam's step for flat arrays (Kingma and Ba 2015, Algorithm 1), betas .9 and .999, epsilon 1e-8."""
    unit = x.dtype.type
    b1, b2, eps = unit(0.1), unit(0.001), unit(1e-8)
    for i in range(len(x)):
        first[i] += b1 * (g[i] - first[i])
        second[i] = (unit(1) - b2) * second[i] + b2 * g[i] * g[i]
        x[i] -= rate * first[i] / (np.sqrt(second[i]) / root + eps)


@njit(cache=True, **JIT)
@no_type_check
def adam(F, bias, G, moments, taken, draws, position, cumulative, guide, count, step_size, biased, limit, losses):
    """Steps of Adam for one replicate, in place; `moments` holds the first and second of F, the bias, and G, flat."""
    uniform, masks = draws
    steps, batch = uniform.shape
    width = -(-batch // 16) * 16
    k = F.shape[1]
    work, X = workspace(k, G, width), np.zeros((G.shape[1], width), F.dtype)
    dF, dG, moved = work[3], work[4], work[5]
    gradient, unit = np.zeros_like(F), F.dtype.type
    wide = np.zeros_like(G)
    contexts, tokens = np.empty(batch, np.int64), np.empty(batch, np.int64)
    for step in range(steps):
        pick(position, cumulative, guide, uniform[step], masks[step], contexts, tokens)
        losses[step] = minibatch(F, bias, G, contexts, tokens, count, limit, work, X)
        gradient[:] = 0
        for i in range(batch):
            for j in range(k):
                gradient[contexts[i], j] += dF[j, i]
        for c in range(count):
            for j in range(k):
                wide[c, j] = dG[c, j]
        now = taken + step + 1
        rate, root = unit(step_size / (1 - 0.9**now)), unit(math.sqrt(1 - 0.999**now))
        adapt(F.reshape(-1), gradient.reshape(-1), moments[0], moments[1], rate, root)
        adapt(G.reshape(-1), wide.reshape(-1), moments[4], moments[5], rate, root)
        if biased:
            adapt(bias, moved, moments[2], moments[3], rate, root)
