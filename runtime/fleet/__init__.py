"""What headquarters and a region say to each other, and what each may decide: statements, decisions, deeds.

documents, signing, enrolment; post, desk, trust    the statements and who may say them; the ways to the hub
settings, steering, loosening, lifecycle, health; layers, plan, judgement, rollout, audit, sight    decide, pure
slots, arrivals, force, rehearsal, dry_run, steward, vitals, probe, announcer, regional, errands, answers, egress    do, in the region
"""
