"""Runs in the image for a GPU: what Triton compiles before a kernel's first start.

The driver library comes from the machine that has the GPU; here one stands in whose functions all
fail, so that what was compiled can be linked and loaded, and is not called.
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
from pathlib import Path

import torch
from recorder import recorded
from triton.backends.nvidia import driver

FOLDER = Path(os.environ["TRITON_CACHE_DIR"]).parent / "driver"
LIBRARY = "libcuda.so.1"


def stand_in() -> None:
    FOLDER.mkdir()
    source = Path(driver.dirname, "driver.c").read_text()
    functions = sorted(set(re.findall(r"\bcu[A-Z]\w*", source)))
    text = "".join(f"int {name}(void) {{ return 100; }}\n" for name in functions)
    file = str(FOLDER / LIBRARY)
    command = ["gcc", "-shared", "-fPIC", f"-Wl,-soname,{LIBRARY}", "-x", "c", "-", "-o", file]
    subprocess.run(command, input=text, text=True, check=True)
    ctypes.CDLL(file)  # it is in no folder that the linker searches
    os.environ["TRITON_LIBCUDA_PATH"] = str(FOLDER)


if __name__ == "__main__":
    from nestling.kernels.operations import triton_operations

    with recorded("sm_90") as launches:
        of_row = torch.ones(4)
        triton_operations().gate(torch.zeros(4, 150, dtype=torch.bfloat16), *[of_row] * 4)
    launches[0].variant.compile("sm_90")
    stand_in()
    driver.CudaUtils()
