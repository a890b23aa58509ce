"""Backups of a region's journal: made while it runs, proven when made, and proven again before they take its place."""
