"""Engines' streams: where their events end, and how they end themselves, well or not.

An engine's stream is relayed as it is, and parsed only where its bytes look unusual.
`answer_stream` gives the good events of what has come and says how the stream ended, by the rules
of its route in `protocols`. `sse` cuts bytes into events, `usage` finds the engine's own counts.
`continuation` keeps what another engine needs to go on with a stream, `event_log` what a caller
needs who comes back for it; `stop_texts` finds stop texts over the seam of two engines.

Imports core's types and errors, and the paths and names that both ends of a link share.
"""
