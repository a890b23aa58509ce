"""Where each business object of the region stands, as the API tells it: small records, and how events change them. Pure.

Reading order: records (what is kept) → fold (what an event says, and what becomes of the record before).
"""
