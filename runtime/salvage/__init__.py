"""Saves what is provable of a damaged journal into a new one, and names exactly what is lost. Never in place, never silently.

`proofs` decides (pure), `lanes` and `facts` read and write, `repair` puts them in order, `report` tells people.
"""
