"""What `benchmarks/device.sh` runs, one after the other: each a `run(record, device)`."""
