"""HTTP in: what a partner sends becomes a committed fact, or a problem that says what to do.

Reading order: server (routes) → inlet (one source's door) → body, limits, keys → answers, problems.
"""
