"""Changes of a kernel that are no faults, with the reason; the tests of mutants find all others."""

from __future__ import annotations

ROUNDED = "only rounding brings it below 0, by less than any threshold above 0 tells"
STORED = "a store rounds to the type of where it stores"
WIDENED = "float32 and a shorter type make float32"
UNSTORED = "what is computed there is not stored"
GROUPED = "each row lies in a group, and the last one that begins at it or before is its own"
TILELESS = "a program without a tile has no outputs, no rows or no inputs, and needs one to store"
ZERO = "the other factor is 0 there"
HINT = "it tells the compiler what is so anyway"
NOTHING = "a step of which nothing is left adds 0"
HALVES = "halves one after the other give the same as the whole at once"
IDLE = "a program with nothing to store computes something, and stores nothing"
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
        "x_part = tl.load(x + x_rows[:, None] + left[None, :], "
        "mask=left[None, :] < k, other=1.0)": ZERO,
        "w_part = tl.load(w + w_rows[None, :] + left[:, None], "
        "mask=left[:, None] < k, other=1.0)": ZERO,
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
        "z = tl.load(at, mask=exists, other=-float('inf'))": WIDENED,
        "tl.store(label + row, best, mask=there)": STORED,
        "bound = tl.load(threshold + row, mask=there)": UNSTORED,
        "bound = tl.load(threshold + row, mask=there, other=1.0)": UNSTORED,
        "which = tl.load(by + row, mask=there)": UNSTORED,
        "which = tl.load(by + row, mask=there, other=1.0)": UNSTORED,
        "least = tl.load(scope + row, mask=there)": UNSTORED,
        "least = tl.load(scope + row, mask=there, other=1.0)": UNSTORED,
        "z = z / tl.load(temperature + row, mask=there)[:, None]": UNSTORED,
        "z = z / tl.load(temperature + row, mask=there, other=1.01)[:, None]": UNSTORED,
        "z = tl.where(there[:, None], z, 1.0)": UNSTORED,
        "held = tl.where(which == BY_ENTROPY, 1 - surprise * per_surprise, held)": ROUNDED,
    },
    "attention_kernel": {
        "pass  # k_stride = multiple(k_stride, STRIDE_MULTIPLE)": HINT,
        "pass  # v_stride = multiple(v_stride, STRIDE_MULTIPLE)": HINT,
        "asking = tl.load(q + q_rows + at[None, :], mask=within[None, :], other=1.0)": ZERO,
        "keys = tl.load(k + offered[None, :] * k_stride + at[:, None], "
        "mask=within[:, None], other=1.0)": ZERO,
        "values = tl.load(v + offered[:, None] * v_stride + at[None, :], "
        "mask=within[None, :], other=1.0)": UNSTORED,
        "values = tl.load(v + offered[:, None] * v_stride + at[None, :], "
        "mask=within[None, :])": UNSTORED,
        "tl.store(y + rows.to(tl.int64)[:, None] * multiple(y_stride, STRIDE_MULTIPLE) + "
        "at[None, :], sum_of / total[:, None], "
        "mask=(rows < row_end)[:, None] & within[None, :])": STORED,
    },
    "asked_kernel": {
        "pass  # widest = multiple(widest, D_MULTIPLE)": HINT,
        "widest = tl.max(tl.where(has, width_of(sequence, members, ds, groups), 1), axis=0)": IDLE,
        "if tl.program_id(2) * COLUMNS <= widest:": IDLE,
        "if tl.program_id(2) < widest:": IDLE,
        "row = tl.load(starts + sequence, mask=sequence < sequences).to(tl.int64)": UNSTORED,
        "row = tl.load(starts + sequence, mask=sequence < sequences, other=1)"
        ".to(tl.int64)": UNSTORED,
        "row = tl.load(starts + sequence, mask=sequence <= sequences, other=0)"
        ".to(tl.int64)": UNSTORED,
        "rows = tl.load(q_tile, mask=has[:, None] & within[None, :], other=1.0)": ZERO,
        "part = tl.load(w + w_rows[:, None] + column[None, :], "
        "mask=within[:, None] & inside[None, :], other=1.0)": ZERO,
        "of_head = (sequence * heads + head) * multiple(asked_stride, D_MULTIPLE)": SHORT,
        "tl.store(asked + of_head[:, None] + column[None, :], total, "
        "mask=has[:, None] & inside[None, :])": STORED,
    },
    "mix_kernel": {
        "pass  # d = multiple(d, D_MULTIPLE)": HINT,
        "of_head = (sequence * heads + head) * multiple(asked_stride, D_MULTIPLE)": SHORT,
        "rows = tl.load(asked + of_head + k[None, :], "
        "mask=there[:, None] & (k < d)[None, :], other=1.0)": ZERO,
        "keys = tl.load(x_rows[None, :] + k[:, None], mask=(k < d)[:, None], other=1.0)": ZERO,
        "values = tl.load(x_rows[:, None] + column[None, :], "
        "mask=(column < d)[None, :], other=1.0)": UNSTORED,
        "values = tl.load(x_rows[:, None] + column[None, :], mask=(column < d)[None, :])": UNSTORED,
        "tl.store(mixed + of_head + column[None, :], sum_of / total[:, None], "
        "mask=there[:, None] & (column < d)[None, :])": STORED,
        "if first < own:": IDLE,
        "if tl.program_id(1) * COLUMNS < d:": IDLE,
        "if (first < own) & (tl.program_id(1) < d):": IDLE,
        "if (first < own) | (tl.program_id(1) * COLUMNS < d):": IDLE,
        "if (first <= own) & (tl.program_id(1) * COLUMNS < d):": IDLE,
        "if (first < own) & (tl.program_id(1) * COLUMNS <= d):": IDLE,
    },
    "values_kernel": {
        "pass  # d = multiple(d, D_MULTIPLE)": HINT,
        "pass  # widest = multiple(widest, D_MULTIPLE)": HINT,
        "d = tl.where(has, width_of(sequence, members, ds, groups), 1)": IDLE,
        "if widest >= 0:": IDLE,
        "of_head = (sequence * heads + head) * multiple(mixed_stride, D_MULTIPLE)": SHORT,
        "rows = tl.load(mixed + of_head[:, None] + k[None, :], "
        "mask=k[None, :] < d[:, None], other=1.0)": ZERO,
        "part = tl.load(w + w_rows[None, :] + k[:, None], "
        "mask=within[None, :] & (k < widest)[:, None], other=1.0)": ZERO,
        "added = tl.load(b + head * HEAD_DIM + column, mask=within, other=1.0)": UNSTORED,
        "added = tl.load(b + head * HEAD_DIM + column, mask=within)": UNSTORED,
        "total += added[None, :]": WIDENED,
        "row = tl.load(starts + sequence, mask=sequence < sequences).to(tl.int64)": UNSTORED,
        "row = tl.load(starts + sequence, mask=sequence < sequences, other=1)"
        ".to(tl.int64)": UNSTORED,
        "row = tl.load(starts + sequence, mask=sequence <= sequences, other=0)"
        ".to(tl.int64)": UNSTORED,
        "tl.store(y + row[:, None] * multiple(y_stride, STRIDE_MULTIPLE) + head * HEAD_DIM + "
        "column[None, :], total, mask=has[:, None] & within[None, :])": STORED,
    },
}
