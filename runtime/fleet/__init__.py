"""What headquarters and a region say to each other about configuration, and what each may decide.

documents, signing, post: the statements, who may say them, the way to the hub · enrolment, trust: how a region gets its login
steering, loosening, lifecycle, health: what may be, what follows · slots, force, rehearsal: what is on disk, and in force
steward, vitals, probe, announcer, regional: ask, apply, watch, take back, tell · errands, probes, answers, egress: what is asked for
"""
