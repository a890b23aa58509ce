"""What headquarters and a region say to each other about configuration, and what each may decide.

documents, signing, post; enrolment, trust    statements, roles, the way to the hub; how a region gets its login
settings, steering, loosening, lifecycle, health, slots, force, rehearsal    decide: what may be, what is in force
steward, vitals, probe, announcer, regional    do: ask, apply, watch, take back, tell; and the region's own word
errands, probes, answers, egress    what headquarters asks for and asks about, and what of the answer may leave
"""
