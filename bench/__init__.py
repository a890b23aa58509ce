"""Benchmarks: one run, one table, peers measured in the same run on the same disk.

Start with `make bench` (or `python -m bench --quick`). The product never imports this package.
Read `__main__` for the runner, `measures/` for what is timed, `peers/` for what it is compared with.
"""
