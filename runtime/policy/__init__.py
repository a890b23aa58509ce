"""Pure decisions after a failure or before a call: may I, how long do I wait, should I stop asking.

No clock, no randomness, no I/O: the time and the seed are passed in.
"""
