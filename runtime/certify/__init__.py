"""Tries this host's own disk and hub with a scratch region, and signs what was seen. Never touches the real journal.

`subject` is what is tried, in a process of its own; one trial a file; `certificate` is what they end in.
"""
