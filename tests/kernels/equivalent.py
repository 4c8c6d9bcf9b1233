"""Changes of a kernel that are no faults, with the reason; the tests of mutants find all others."""

from __future__ import annotations

STORED = "a store rounds to the type of where it stores"
WIDENED = "float32 and a shorter type make float32"
UNSTORED = "what is computed there is not stored"
GROUPED = "each row lies in a group, and the last one that begins at it or before is its own"
TILELESS = "a program without a tile has no outputs, no rows or no inputs, and needs one to store"
ZERO = "the other factor is 0 there"
HINT = "it tells the compiler what is so anyway"
NOTHING = "a step of which nothing is left adds 0"
HALVES = "halves one after the other give the same as the whole at once"
SHORT = (
    "the buffer is made by the launch, and shorter than 2^31 numbers in any batch that has memory"
)

EQUIVALENT: dict[str, dict[str, str]] = {
    # kernel: {the line as it was changed: why the kernel does the same}
    "linear_tile": {
        "pass  # x_stride = multiple(x_stride, STRIDE_MULTIPLE)": HINT,
        "pass  # w_stride = multiple(w_stride, STRIDE_MULTIPLE)": HINT,
        "pass  # n = multiple(n, N_MULTIPLE)": HINT,
        "pass  # k = multiple(k, K_MULTIPLE)": HINT,
        "if COLUMNS >= 128:": HALVES,
        "if COLUMNS > 129:": HALVES,
        "if K_MULTIPLE <= WIDEST and wide < k:": NOTHING,
        "if K_MULTIPLE < WIDEST and wide <= k:": NOTHING,
        "x_part = tl.load(x_tile, mask=inside[None, :], other=1.0)": ZERO,
        "w_part = tl.load(w_tile, mask=inside[:, None], other=1.0)": ZERO,
    },
    "finish": {
        "result = activate(total, ACTIVATION)": STORED,
        "total += tl.load(b + columns, mask=within, other=0.0)[None, :]": WIDENED,
        "total += tl.load(b + columns, mask=within).to(tl.float32)[None, :]": UNSTORED,
        "total += tl.load(b + columns, mask=within, other=1.0).to(tl.float32)[None, :]": UNSTORED,
    },
    "grouped_linear_kernel": dict.fromkeys(("row = 1", "row_end = 1", "n = 1", "k = 1"), TILELESS),
    "norm_kernel": {
        "d = 1": GROUPED,
        "d = tl.where(row >= start, tl.load(ds + group), d)": GROUPED,
        "d = tl.where((row >= start) & (row <= end), tl.load(ds + group), d)": GROUPED,
        "pass  # d = multiple(d, D_MULTIPLE)": HINT,
        "pass  # width = multiple(width, D_MULTIPLE)": HINT,
    },
    "added": {
        "values += tl.load(residual + columns, mask=columns < d, other=0.0)": WIDENED,
    },
    "write": {
        "values *= tl.load(weight + columns, mask=columns < d, other=0.0)": WIDENED,
        "values += tl.load(bias + columns, mask=columns < d, other=0.0)": WIDENED,
        "tl.store(y + columns, values, mask=columns < d)": STORED,
        "values *= tl.load(weight + columns, mask=columns < d).to(tl.float32)": UNSTORED,
        "values *= tl.load(weight + columns, mask=columns < d, other=1.0).to(tl.float32)": UNSTORED,
        "values += tl.load(bias + columns, mask=columns < d).to(tl.float32)": UNSTORED,
        "values += tl.load(bias + columns, mask=columns < d, other=1.0).to(tl.float32)": UNSTORED,
    },
    "gate_kernel": {
        "pass  # stride = multiple(stride, MULTIPLE)": HINT,
        "pass  # labels = multiple(labels, MULTIPLE)": HINT,
        "z = tl.load(at, mask=inside, other=-float('inf'))": WIDENED,
        "tl.store(label + row, best, mask=there)": STORED,
        "bound = tl.load(threshold + row, mask=there)": UNSTORED,
        "bound = tl.load(threshold + row, mask=there, other=1.0)": UNSTORED,
        "z = z / tl.load(temperature + row, mask=there)[:, None]": UNSTORED,
        "z = z / tl.load(temperature + row, mask=there, other=1.01)[:, None]": UNSTORED,
        "z = tl.where(there[:, None], z, 1.0)": UNSTORED,
    },
}
