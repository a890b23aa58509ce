"""Headquarters' desk: a folder of files in git on one side, the hub's streams on the other, and no database of its own.

settings, folder, key   what a central team writes and keeps
trial                   a rendered configuration is loaded, compared and fed with golden messages before anything is sent
interview, rehearsal    asks agents, whose signed answers count: what they see, and what a revision would do there
office                  what may be believed of the hub's streams; signs and publishes; conduct drives a rollout
"""
