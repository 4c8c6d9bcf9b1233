"""Changes of a kernel that are no faults, with the reason; the tests of mutants find all others."""

from __future__ import annotations

STORED = "a store rounds to the type of where it stores"
WIDENED = "float32 and a shorter type make float32"
UNSTORED = "what is computed there is not stored"
GROUPED = "each row lies in a group, and the last one that begins at it or before is its own"
TILELESS = "a program without a tile has no outputs, no rows or no inputs, and needs one to store"
ZERO = "the other factor is 0 there"
HINT = "it tells the compiler what is so anyway"

EQUIVALENT: dict[tuple[str, str], str] = {
    # (kernel, the line as it was changed): why the kernel does the same
    ("linear_tile", "if rest >= 0:"): "a step of which nothing is left adds 0",
    ("linear_tile", "result = activate(total, ACTIVATION)"): STORED,
    (
        "linear_tile",
        "total += tl.load(b + columns, mask=within, other=0.0)[None, :]",
    ): WIDENED,
    (
        "linear_tile",
        "x_part = tl.load(x_tile, mask=depth[None, :] < rest, other=1.0)",
    ): ZERO,
    (
        "linear_tile",
        "w_part = tl.load(w_tile, mask=depth[:, None] < rest, other=1.0)",
    ): ZERO,
    (
        "linear_tile",
        "total += tl.load(b + columns, mask=within).to(tl.float32)[None, :]",
    ): UNSTORED,
    (
        "linear_tile",
        "total += tl.load(b + columns, mask=within, other=1.0).to(tl.float32)[None, :]",
    ): UNSTORED,
    ("grouped_linear_kernel", "row = 1"): TILELESS,
    ("grouped_linear_kernel", "row_end = 1"): TILELESS,
    ("grouped_linear_kernel", "n = 1"): TILELESS,
    ("grouped_linear_kernel", "k = 1"): TILELESS,
    ("grouped_linear_kernel", "pass  # n = n // MULTIPLE * MULTIPLE"): HINT,
    ("grouped_linear_kernel", "pass  # k = k // MULTIPLE * MULTIPLE"): HINT,
    ("norm_kernel", "d = 1"): GROUPED,
    ("norm_kernel", "inside = row >= tl.load(offsets + group)"): GROUPED,
    (
        "norm_kernel",
        "inside = (row >= tl.load(offsets + group)) & (row <= tl.load(offsets + group + 1))",
    ): GROUPED,
    (
        "norm_kernel",
        "values += tl.load(residual + columns, mask=within, other=0.0)",
    ): WIDENED,
    (
        "norm_kernel",
        "values *= scale * tl.load(weight + columns, mask=within, other=0.0)",
    ): WIDENED,
    ("norm_kernel", "values += tl.load(bias + columns, mask=within, other=0.0)"): WIDENED,
    ("norm_kernel", "tl.store(y + columns, values, mask=within)"): STORED,
    (
        "norm_kernel",
        "values *= scale * tl.load(weight + columns, mask=within).to(tl.float32)",
    ): UNSTORED,
    (
        "norm_kernel",
        "values *= scale * tl.load(weight + columns, mask=within, other=1.0).to(tl.float32)",
    ): UNSTORED,
    ("norm_kernel", "values += tl.load(bias + columns, mask=within).to(tl.float32)"): UNSTORED,
    (
        "norm_kernel",
        "values += tl.load(bias + columns, mask=within, other=1.0).to(tl.float32)",
    ): UNSTORED,
    ("gate_kernel", "z = tl.load(at, mask=inside, other=-float('inf'))"): WIDENED,
    ("gate_kernel", "tl.store(label + row, best, mask=there)"): STORED,
    ("gate_kernel", "bound = tl.load(threshold + row, mask=there)"): UNSTORED,
    ("gate_kernel", "bound = tl.load(threshold + row, mask=there, other=1.0)"): UNSTORED,
    ("gate_kernel", "z = z / tl.load(temperature + row, mask=there)[:, None]"): UNSTORED,
    (
        "gate_kernel",
        "z = z / tl.load(temperature + row, mask=there, other=1.01)[:, None]",
    ): UNSTORED,
    ("gate_kernel", "z = tl.where(there[:, None], z, 1.0)"): UNSTORED,
}
