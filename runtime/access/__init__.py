"""Who may do what, decided without looking at a clock or a disk.

Reading order: settings → scopes → keys, claims → registry (who is it?) → tally, allowance, ledger (what is written down).
"""
