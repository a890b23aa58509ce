"""What headquarters and a region say to each other about configuration, and what each may decide.

documents, signing, post    the statements, the roles that may say them, the way to the hub
settings, steering, loosening, lifecycle, health    decide, pure: what may be, what follows, what is worse than before
slots, force, rehearsal    what is on disk, which of it is in force, what a revision would change
steward, vitals, probe, announcer, regional    do: ask, apply, watch, take back, tell; and the region's own word
errands, probes, answers, egress    what headquarters asks for and asks about, and what of the answer may leave
enrolment, trust    how a region gets its login, and the way to the hub for that
"""
