"""Builds everything that lands in dist/: `python -m recipes`, with this folder's parent on the path. See docs/packaging.md.

One file a step, in order: targets, environment, interpreter, staging, package, materials (SBOM), bundle.
"""
