"""What happened, what it means, what may leave. The path of an event, in reading order:

1. gateway/server     a partner posts; authenticated and limited        (or an adapter fetches: ports.Source)
2. pipeline/accept    the exact bytes are committed and flushed, then `202`        → journal/intake
3. pipeline/translate the mapping's pure function, or a letter with the reason     → journal/events, letters
4. pipeline/lane      the backlog waits here, canonical; the uplink asks for more
5. clearance          deny by default, field by field                              → pipeline/seal
6. pipeline/seal      place in the lane, chain hash, bytes that never change again → journal/outbox
7. sync/uplink        to the hub's stream, once, at exactly that place             → journal/lanes (acknowledged)
8. pipeline/checkpoint signed: where every lane stands, and that the books balance
Back, from headquarters to the systems of the region:
1. sync/downlink      reads headquarters' lane for this region from our own position on; nothing is skipped
2. pipeline/inbox     the records and the position behind them, in one commit      → journal/inbox
3. pipeline/deliver   each target what it wants, in order, with one id for all tries → journal/deliveries, targets
`kernel` puts 2–8 together, `agent` adds edges and tasks, `operations` are the verbs of people, `changeover` is a reload.
"""
