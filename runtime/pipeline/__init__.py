"""The steps of an event, one verb a file: accept, translate, seal (with clearance), checkpoint, replay, adopt.

Each decides in pure functions and moves one batch one step in one transaction.
"""
