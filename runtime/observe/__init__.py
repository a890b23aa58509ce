"""What people see of a running agent: the log, the metrics, the alerts, and whether the clock can be believed.

Read in this order: `redact` and `repeats` (what a log line may say, and how often), `log`, `metrics` (names and
counters), `exposition` (GET /metrics), `alert_kinds` and `alerts` (what is raised, and when), `alert_sender`, `clockwatch`.
"""
