"""What the central team runs beside the hub: verifies every region as its records arrive, countersigns, and reads along.

settle       how long something must have stood at the hub before a region may forget it
inspection   one round over all regions: what held, what did not, what is announced
notebook     the file that remembers how far every region was verified
lines        records as lines for analytics
"""
