"""`entrepot demo`: a real hub, a region, three simulated partners, and a judge who compares receipts with the hub.

Reading order: stage (folder and ports) → services (supervised programs) → messages, partners, ledger → judge → view → conduct.
"""
